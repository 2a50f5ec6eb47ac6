import Foundation
import Testing

@testable import CulvertSSH

/// Certificates of `ssh-keygen`: what they say, whom they speak for, and what damage does to them.
@Suite struct CertificateTests {
    private let bench: KeyBench
    private static let now: UInt64 = 1_800_000_000

    init() throws {
        bench = try KeyBench()
        try bench.makeKey(.ed25519, "ca")
        try bench.makeKey(.ed25519)
    }

    private func flaw(
        _ blob: [UInt8], host: String = "db.example", at now: UInt64 = now,
        signatures: [String] = KeyBench.signatures
    ) throws -> CertificateFlaw? {
        try Certificate(blob: blob).flaw(asHost: host, at: now, signatures: signatures)
    }

    @Test(arguments: KeyBench.Kind.all, KeyBench.Kind.all)
    func everyKindOfKeyByEveryKindOfAuthority(_ kind: KeyBench.Kind, _ authority: KeyBench.Kind) throws {
        try bench.makeKey(kind, "subject")
        try bench.makeKey(authority, "authority")
        let blob = try bench.certify(
            "subject", by: "authority", ["-h", "-n", "db.example,*.example", "-z", "77", "-V", "20260101:20370101"])
        let certificate = try Certificate(blob: blob)
        #expect(certificate.type == CertificateType.name(ofPlain: kind.name))
        #expect(certificate.plainKey == (try bench.publicKey("subject")))
        #expect(certificate.authority == (try bench.publicKey("authority")))
        #expect(certificate.authorityType == authority.name)
        #expect(certificate.serial == 77 && certificate.role == .host)
        #expect(certificate.keyID == Array("the subject".utf8))
        #expect(certificate.principals == [Array("db.example".utf8), Array("*.example".utf8)])
        #expect(certificate.criticalOptions.isEmpty && certificate.extensions.isEmpty)
        #expect(try flaw(blob) == nil)
        #expect(try flaw(blob, host: "web.example") == nil)
        let others = try flaw(blob, host: "elsewhere")
        #expect(others?.description == "it is for db.example, *.example, not for elsewhere")
        #expect(certificate.flaw(asUserAt: Self.now) == .otherRole(.host))
    }

    @Test func bothHashesOfAnAuthorityWithRSAAndNotTheThird() throws {
        try bench.makeKey(.rsa, "authority")
        for hash in ["rsa-sha2-256", "rsa-sha2-512"] {
            let blob = try bench.certify("key", by: "authority", ["-h", "-n", "db.example", "-t", hash])
            #expect(try flaw(blob) == nil)
            #expect(try flaw(blob, signatures: ["ssh-ed25519"]) == .signedBy(hash))
        }
        let blob = try bench.certify("key", by: "authority", ["-h", "-n", "db.example", "-t", "ssh-rsa"])
        #expect(try flaw(blob) == .signedBy("ssh-rsa"))
        // Also where somebody takes it: nothing here checks such a signature.
        #expect(try flaw(blob, signatures: ["ssh-rsa"]) == .signedBy("ssh-rsa"))
    }

    /// Whoever holds such a key needs a device to sign, nobody needs one to certify it.
    @Test(arguments: ["sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"])
    func keysOfDevices(_ type: String) throws {
        try bench.makeKey(.p256, "curve")
        var fields = try type.contains("ecdsa") ? bench.publicKey("curve") : bench.publicKey("key")
        fields.removeFirst(4 + (type.contains("ecdsa") ? "ecdsa-sha2-nistp256" : "ssh-ed25519").utf8.count)
        let plain = Script.string(type) + fields + Script.string("ssh:")
        try bench.write("device.pub", Array("\(type) \(Data(plain).base64EncodedString())\n".utf8))
        let certificate = try Certificate(blob: try bench.certify("device", ["-n", "alice"]))
        #expect(certificate.type == CertificateType.name(ofPlain: type) && certificate.plainKey == plain)
        #expect(certificate.flaw(asUserAt: Self.now) == nil)
    }

    /// `ssh-keygen` reads what is made here only when it takes the signature.
    @Test(arguments: [false, true])
    func anAuthorityOnADevice(_ isECDSA: Bool) throws {
        let device = TestDevice(isECDSA: isECDSA)
        let body = CertificateParts(authority: device.blob).body
        func keygenReads(_ blob: [UInt8]) throws -> Bool {
            try bench.write(
                "made-cert.pub", Array("ssh-ed25519-cert-v01@openssh.com \(Data(blob).base64EncodedString())\n".utf8))
            return (try? bench.run("ssh-keygen", ["-L", "-f", "made-cert.pub"]))?.contains("db.example") == true
        }
        for flags: UInt8 in [0, 1, 5] {
            let right = body + Script.string(try device.sign(body, flags: flags))
            #expect(try flaw(right) == nil)
            #expect(try keygenReads(right))
        }
        let right = body + Script.string(try device.sign(body))
        #expect(try flaw(right, signatures: ["ssh-ed25519"]) == .signedBy(device.type))
        for place in (body.count - device.blob.count)..<right.count {
            var damaged = right
            damaged[place] ^= 1
            guard let certificate = try? Certificate(blob: damaged) else { continue }
            #expect(certificate.flaw(asHost: "db.example", at: Self.now, signatures: KeyBench.signatures) != nil)
        }
        let other = TestDevice(isECDSA: isECDSA)
        #expect(try flaw(body + Script.string(try other.sign(body))) == .forged)
        let wrongKind = TestDevice(isECDSA: !isECDSA)
        #expect(try flaw(body + Script.string(try wrongKind.sign(body))) == .forged)
        #expect(try !keygenReads(body + Script.string(try other.sign(body))))
    }

    @Test func whatAUsersSays() throws {
        let blob = try bench.certify(
            "key",
            [
                "-n", "alice,bob", "-O", "force-command=echo hello", "-O", "source-address=10.0.0.0/8",
                "-O", "verify-required", "-O", "no-pty", "-V", "20300101000000:20310101000000",
            ])
        let certificate = try Certificate(blob: blob)
        #expect(certificate.role == .user)
        let names = certificate.criticalOptions.map { String(decoding: $0.name, as: UTF8.self) }
        #expect(names == ["force-command", "source-address", "verify-required"])
        #expect(certificate.criticalOptions[0].data == Script.string("echo hello"))
        #expect(certificate.extensions.map(\.name).contains(Array("permit-port-forwarding".utf8)))
        #expect(try flaw(blob) == .otherRole(.user))
        let (from, before) = (certificate.validity.from, certificate.validity.before)
        #expect(certificate.flaw(asUserAt: from - 1) == .notYetValid(from: from))
        #expect(certificate.flaw(asUserAt: from) == nil && certificate.flaw(asUserAt: before - 1) == nil)
        #expect(certificate.flaw(asUserAt: before) == .expired(at: before))
    }

    @Test func hostsThatItDoesNotSpeakFor() throws {
        let wide = try bench.certify("key", ["-h"])
        #expect(try flaw(wide) == .noPrincipals)
        let some = try bench.certify("key", ["-h", "-n", "db.example", "-O", "critical:what@example=x"])
        #expect(try flaw(some) == .criticalOptions([Array("what@example".utf8)]))
        let old = try bench.certify("key", ["-h", "-n", "db.example", "-V", "20200101:20200102"])
        let certificate = try Certificate(blob: old)
        #expect(try flaw(old) == .expired(at: certificate.validity.before))
        let new = try bench.certify("key", ["-h", "-n", "db.example", "-V", "20400101:forever"])
        let later = try Certificate(blob: new)
        #expect(try flaw(new) == .notYetValid(from: later.validity.from) && later.validity.before == .max)
        #expect(try flaw(new, at: .max - 1) == nil)
        // A port is no part of the name, and letters of a principal count as they are (ssh(1)).
        let upper = try bench.certify("key", ["-h", "-n", "DB.example,[db.example]:22"])
        #expect(try flaw(upper)?.description.contains("not for db.example") == true)
    }

    @Test(arguments: [KeyBench.Kind.ed25519, .p256, .rsa])
    func eachByteCounts(_ kind: KeyBench.Kind) throws {
        try bench.makeKey(kind, "subject")
        let blob = try bench.certify("subject", ["-h", "-n", "db.example"])
        #expect(try flaw(blob) == nil)
        for place in blob.indices {
            for bit: UInt8 in [1, 0x80] {
                var damaged = blob
                damaged[place] ^= bit
                guard let certificate = try? Certificate(blob: damaged) else { continue }
                let flaw = certificate.flaw(asHost: "db.example", at: Self.now, signatures: KeyBench.signatures)
                #expect(flaw != nil, "byte \(place) of \(blob.count)")
            }
        }
        for count in blob.indices {
            #expect(throws: SSHError.self) { _ = try Certificate(blob: Array(blob.prefix(count))) }
        }
        #expect(throws: SSHError.self) { _ = try Certificate(blob: blob + [0]) }
    }

    @Test func anotherAuthoritysSignature() throws {
        try bench.makeKey(.ed25519, "forger")
        let right = try bench.certify("key", ["-h", "-n", "db.example"])
        let wrong = try bench.certify("key", by: "forger", ["-h", "-n", "db.example"])
        let signed = try Certificate(blob: right).signedCount
        #expect(try flaw(Array(right.prefix(signed)) + wrong.suffix(wrong.count - signed)) == .forged)
    }

    @Test func layoutsThatAreNone() throws {
        let signer = TestHostKey()
        func refused(_ change: (inout CertificateParts) -> Void, at: SourceLocation = #_sourceLocation) {
            var parts = CertificateParts(signer)
            change(&parts)
            #expect(throws: SSHError.self, sourceLocation: at) { _ = try Certificate(blob: parts.blob) }
        }
        let whole = CertificateParts(signer)
        #expect(try flaw(whole.blob) == nil)
        refused { $0.type = Script.string("ssh-ed25519") }
        refused { $0.type = Script.string("ssh-dss-cert-v01@openssh.com") }
        refused { $0.type = Script.string("rsa-sha2-512-cert-v01@openssh.com") }
        refused { $0.key = Script.string("") }
        refused { $0.role = Script.u32(0) }
        refused { $0.role = Script.u32(3) }
        refused { $0.keyID = Script.string([97, 0, 98]) }
        refused { $0.principals = Script.string(Script.string([97, 0])) }
        refused { $0.principals = Script.string([0, 0, 0, 9, 97]) }
        refused { $0.principals = Script.string((0..<257).flatMap { _ in Script.string("a") }) }
        refused { $0.critical = Script.string(Script.string("alone")) }
        refused { $0.extensions = Script.string(Script.string("alone")) }
        refused { $0.extensions = Script.u32(0x7fff_ffff) }
        // An authority that has its own word from another.
        refused { $0.authority = Script.string(whole.blob) }
        refused { $0.authority = Script.string("") }
        refused { $0.authority = Script.string(signer.blob + [0]) }
        var parts = CertificateParts(signer)
        parts.principals = Script.string((0..<256).flatMap { _ in Script.string("db.example") })
        #expect(try Certificate(blob: parts.blob).principals.count == 256)
        // The signature's own layout.
        #expect(try flaw(whole.body + Script.string("")) == .forged)
        #expect(try flaw(whole.body + Script.string(Script.string("ssh-ed25519"))) == .forged)
        #expect(try flaw(whole.body + Script.string(signer.sign(whole.body) + [0])) == .forged)
        #expect(try flaw(whole.body + Script.string(Script.string("x\u{7}") + Script.string("x"))) == .forged)
        // A name in it may hold what steers a terminal.
        parts.principals = Script.string(Script.string("\u{1b}[2J"))
        let words = try #require(try flaw(parts.blob)).description
        #expect(words == "it is for \\u{1b}[2J, not for db.example")
    }

    /// A number with zeros in front, as some authorities write it, is the same key.
    @Test func numbersInTheirShortestForm() throws {
        try bench.makeKey(.rsa, "subject")
        let plain = try bench.publicKey("subject")
        var parts = CertificateParts(TestHostKey())
        parts.type = Script.string("ssh-rsa-cert-v01@openssh.com")
        let numbers = plain.dropFirst(4 + 7)
        let exponent = Array(numbers.dropFirst(4).prefix(Script.number(numbers, 0)))
        let modulus = Array(numbers.dropFirst(4 + exponent.count + 4))
        parts.key = Script.string([0, 0] + exponent) + Script.string([0] + modulus)
        #expect(try Certificate(blob: parts.blob).plainKey == plain)
        parts.key = Script.string([0x80] + exponent) + Script.string(modulus)
        #expect(throws: SSHError.self) { _ = try Certificate(blob: parts.blob) }
    }

    @Test func momentsAsDateTellsThem() throws {
        for time in [0, 951_782_399, 951_868_799, 1_709_251_199, 1_798_761_599, 4_107_542_400, 253_402_300_799] {
            let words = try bench.run("date", ["-u", "-d", "@\(time)", "+%Y-%m-%d %H:%M:%S UTC"])
            #expect(CertificateValidity.words(UInt64(time)) == words.trimmingCharacters(in: .whitespacesAndNewlines))
        }
        #expect(CertificateValidity.words(.max) == "second 18446744073709551615 since 1970")
    }
}
