import Crypto
import Testing

@testable import CulvertSSH

/// Public keys and signatures of servers: right ones of each kind, and those that are none.
@Suite struct HostKeyTests {
    private func mpint(_ bytes: some Collection<UInt8>) -> [UInt8] {
        let digits = Array(bytes)
        return [UInt8](unsafeUninitializedCapacity: digits.count + 5) { memory, count in
            var writer = WireWriter(start: memory.baseAddress!, capacity: memory.count)
            digits.withUnsafeBytes { writer.mpint($0) }
            count = writer.count
        }
    }

    private func refused(_ blob: [UInt8], _ scheme: SignatureScheme, at: SourceLocation = #_sourceLocation) {
        let error = #expect(throws: SSHError.self, sourceLocation: at) { _ = try HostKey(blob: blob, scheme: scheme) }
        #expect(error?.kind == .keyExchange, sourceLocation: at)
    }

    private func ecdsa(_ curve: String, _ point: [UInt8]) -> [UInt8] {
        Script.string("ecdsa-sha2-\(curve)") + Script.string(curve) + Script.string(point)
    }

    @Test func ecdsaSignaturesOfEachCurve() throws {
        let data = Array("what is signed".utf8)
        func check(_ blob: [UInt8], _ scheme: SignatureScheme, _ raw: [UInt8]) throws {
            let half = raw.count / 2
            func signature(_ r: some Collection<UInt8>, _ s: some Collection<UInt8>, _ name: String? = nil) -> [UInt8] {
                Script.string(name ?? scheme.rawValue) + Script.string(mpint(r) + mpint(s))
            }
            let key = try HostKey(blob: blob, scheme: scheme)
            try key.verify(signature: signature(raw[..<half], raw[half...]), over: data)
            for wrong in [
                signature(raw[half...], raw[..<half]), signature(raw[..<half], []), signature([], []),
                signature([1] + raw[..<half], raw[half...]), signature(raw[..<half], raw[half...], "ssh-ed25519"),
                Script.string(scheme.rawValue) + Script.string(raw), [], Script.string(scheme.rawValue),
                signature(raw[..<half], raw[half...]) + [0],
            ] {
                let error = #expect(throws: SSHError.self) { try key.verify(signature: wrong, over: data) }
                #expect(error?.kind == .keyExchange)
            }
            #expect(throws: SSHError.self) {
                try key.verify(signature: signature(raw[..<half], raw[half...]), over: data + [0])
            }
        }
        // Several, so that a number with a zero in front is among them.
        for _ in 0..<20 {
            let p256 = P256.Signing.PrivateKey()
            try check(
                ecdsa("nistp256", Array(p256.publicKey.x963Representation)), .ecdsa256,
                Array(try p256.signature(for: data).rawRepresentation))
        }
        let p384 = P384.Signing.PrivateKey()
        try check(
            ecdsa("nistp384", Array(p384.publicKey.x963Representation)), .ecdsa384,
            Array(try p384.signature(for: data).rawRepresentation))
        let p521 = P521.Signing.PrivateKey()
        try check(
            ecdsa("nistp521", Array(p521.publicKey.x963Representation)), .ecdsa521,
            Array(try p521.signature(for: data).rawRepresentation))
    }

    @Test func pointsThatAreNone() {
        let key = P256.Signing.PrivateKey().publicKey
        let point = Array(key.x963Representation)
        refused(ecdsa("nistp256", Array(point.dropLast())), .ecdsa256)
        refused(ecdsa("nistp256", point.dropLast() + [point[64] ^ 1]), .ecdsa256)
        refused(ecdsa("nistp256", [0]), .ecdsa256)
        refused(ecdsa("nistp256", Array(key.compressedRepresentation)), .ecdsa256)
        refused(ecdsa("nistp256", []), .ecdsa256)
        refused(ecdsa("nistp256", point) + [0], .ecdsa256)
        // The curve of another type, in one name or in both.
        refused(ecdsa("nistp256", point), .ecdsa384)
        refused(Script.string("ecdsa-sha2-nistp384") + Script.string("nistp256") + Script.string(point), .ecdsa384)
        refused(ecdsa("nistp384", point), .ecdsa384)
        refused(ecdsa("nistp256", point), .ed25519)
    }

    /// What devices signed for OpenSSH (its regress/unittests/sshsig/testdata, in the form of PROTOCOL.sshsig): the key, what it
    /// signed, and the signature.
    @Test(arguments: [
        (
            SignatureScheme.hardwareED25519,
            "AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIJsaDYXQYruc6bilCYDIK4YSOeG+zmrRO2M9t03//7LHAAAABHNzaDo=",
            "AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAQCL7t5ONb/4tDYz6wIP4oW0fWftUUUmif9JkWzE4PJXxxZOUUqPrXtizVSvl"
                + "NXq5oRdCFyTysEDahAgdM8A0sg8BEjRWeA=="
        ),
        (
            .hardwareECDSA256,
            "AAAAInNrLWVjZHNhLXNoYTItbmlzdHAyNTZAb3BlbnNzaC5jb20AAAAIbmlzdHAyNTYAAABBBKDVa5jRcT5V7E6ysmwVi7HJWh7p5D+hebLP"
                + "akQcpnD2ajJZ6G/4WzuhlYWnclWY63JspDp299Rlhq5AT86/g8AAAAAEc3NoOg==",
            "AAAAInNrLWVjZHNhLXNoYTItbmlzdHAyNTZAb3BlbnNzaC5jb20AAABIAAAAIHohGwyy8iKT3zwd1TYA9V/Ioo7h/3zCJUtyq/Qigt/HAAAA"
                + "IGzidTwq7D/kFa7Xjcp/KkdbIs4MfQpfAW/0OciajlpzARI0Vng="
        ),
    ])
    func whatDevicesSigned(_ scheme: SignatureScheme, _ key: String, _ signature: String) throws {
        let blob = try #require(Base64.decode(Array(key.utf8)))
        let signature = try #require(Base64.decode(Array(signature.utf8)))
        let text = Array("This is a test, this is only a test".utf8)
        let signed =
            Array("SSHSIG".utf8) + Script.string("unittest") + Script.string("") + Script.string("sha512")
            + Script.string(Array(SHA512.hash(data: text)))
        let host = try HostKey(blob: blob, scheme: scheme)
        try host.verify(signature: signature, over: signed)
        // Every byte counts: the name, the numbers, the flags (somebody was there), and the counter.
        for place in signature.indices {
            var wrong = signature
            wrong[place] ^= 1
            let error = #expect(throws: SSHError.self, "byte \(place)") {
                try host.verify(signature: wrong, over: signed)
            }
            #expect(error?.kind == .keyExchange)
        }
        for wrong in [Array(signature.dropLast()), signature + [0], Array(signature.dropLast(5)), []] {
            #expect(throws: SSHError.self) { try host.verify(signature: wrong, over: signed) }
        }
        #expect(throws: SSHError.self) { try host.verify(signature: signature, over: signed + [0]) }
        // Another application is another key.
        let other = blob.dropLast() + [blob[blob.count - 1] ^ 1]
        #expect(throws: SSHError.self) {
            try HostKey(blob: Array(other), scheme: scheme).verify(signature: signature, over: signed)
        }
        refused(Array(blob.dropLast()), scheme)
        refused(blob + [0], scheme)
        for wrong in SignatureScheme.allCases where wrong != scheme { refused(blob, wrong) }
    }

    /// A server with such a key: as with ssh it need not say that somebody touched it. A signature that is another's ends the
    /// exchange.
    @Test(arguments: [false, true])
    func aHostWithAHardwareKey(_ isECDSA: Bool) throws {
        for flags in [0, 1] as [UInt8] {
            let device = TestDevice(isECDSA: isECDSA)
            let peer = try ScriptedServer()
            peer.names.hostKey = [device.type]
            peer.device = device
            peer.deviceFlags = flags
            try peer.sayInit()
            try peer.sayNewKeys(try peer.sayReply())
            try peer.say([6] + Script.string("ssh-userauth"), [52])
            #expect(peer.client.isLoggedIn)
            #expect(peer.client.authority.hostKeys == [device.blob])
            #expect(peer.client.engine.summary.contains(", \(device.type), "))
        }
        let device = TestDevice(isECDSA: isECDSA)
        let forged = try ScriptedServer()
        forged.names.hostKey = [device.type]
        forged.device = device
        try forged.sayInit()
        var forgery = ScriptedServer.Forgery()
        forgery.signature = { $0.dropLast(5) + [$0[$0.count - 5] ^ 4] + $0.suffix(4) }
        forged.expect(.keyExchange, reason: 3) { _ = try forged.sayReply(forgery) }
        #expect(forged.client.authority.hostKeys.isEmpty)
    }

    private func rsa(_ exponent: [UInt8], _ modulus: [UInt8]) -> [UInt8] {
        Script.string("ssh-rsa") + mpint(exponent) + mpint(modulus)
    }

    @Test func rsaKeysThatAreNone() throws {
        func modulus(bits: Int) -> [UInt8] {
            var bytes = [UInt8](repeating: 0xa5, count: (bits + 7) / 8)
            bytes[0] = 1 << ((bits - 1) % 8)
            return bytes
        }
        let exponent: [UInt8] = [1, 0, 1]
        for bits in [512, 1024, 2047, 16385, 65536] {
            refused(rsa(exponent, modulus(bits: bits)), .rsa512)
        }
        for bits in [2048, 3072, 16384] {
            _ = try HostKey(blob: rsa(exponent, modulus(bits: bits)), scheme: .rsa256)
        }
        let right = modulus(bits: 2048)
        for wrong in [[], [1], [2], [1, 0, 0], [UInt8](repeating: 0xff, count: 9)] {
            refused(rsa(wrong, right), .rsa512)
        }
        refused(rsa(exponent, right.dropLast() + [0xa4]), .rsa512)
        refused(Script.string("ssh-rsa") + mpint(exponent) + Script.string([0x80] + right.dropFirst()), .rsa512)
        refused(Script.string("ssh-rsa") + mpint(exponent), .rsa512)
        refused(rsa(exponent, right) + [0], .rsa512)
        refused(Script.string("rsa-sha2-512") + mpint(exponent) + mpint(right), .rsa512)
    }

    /// Of any length. (Right ones are made by sshd, in OpenSSHTests.)
    @Test func rsaSignaturesThatAreNone() throws {
        var modulus = [UInt8](repeating: 0xa5, count: 256)
        modulus[0] = 0xff
        let key = try HostKey(blob: rsa([1, 0, 1], modulus), scheme: .rsa512)
        for length in [0, 1, 255, 256, 257, 5000] {
            let signature = Script.string("rsa-sha2-512") + Script.string([UInt8](repeating: 0x11, count: length))
            let error = #expect(throws: SSHError.self) { try key.verify(signature: signature, over: [1]) }
            #expect(error?.kind == .keyExchange)
        }
        for name in ["ssh-rsa", "rsa-sha2-256"] {
            let signature = Script.string(name) + Script.string([UInt8](repeating: 0x11, count: 256))
            let error = #expect(throws: SSHError.self) { try key.verify(signature: signature, over: [1]) }
            #expect(error?.description.contains("signed with \(name), rsa-sha2-512 was agreed on") == true)
        }
    }

    /// RFC 4253 §7.2: longer keys than the digest come in rounds; computed here a second time, by hand.
    @Test func keysAreDerivedInRounds() {
        let secret = Script.string([1, 2, 3])
        func derivation(_ digest: ExchangeDigest) -> (Unicode.Scalar, Int) -> [UInt8] {
            let keys = KeyDerivation(
                digest: digest, secret: secret.withUnsafeBytes { Secret(copying: $0) }, exchangeHash: [4, 5],
                sessionIdentifier: [6])
            return { letter, count in keys.key(letter, count: count).withBytes { Array($0) } }
        }
        let key = derivation(.sha256)
        let start = secret + [4, 5]
        let first = Array(SHA256.hash(data: start + [0x43, 6]))
        let second = Array(SHA256.hash(data: start + first))
        let third = Array(SHA256.hash(data: start + first + second))
        #expect(key("C", 32) == first)
        #expect(key("C", 12) == Array(first.prefix(12)))
        #expect(key("C", 64) == first + second)
        #expect(key("C", 70) == Array((first + second + third).prefix(70)))
        #expect(key("C", 0) == [])
        #expect(derivation(.sha512)("A", 64) == Array(SHA512.hash(data: start + [0x41, 6])))
    }

    @Test func mpints() {
        #expect(mpint([]) == [0, 0, 0, 0] && mpint([0, 0]) == [0, 0, 0, 0])
        #expect(mpint([0x7f]) == [0, 0, 0, 1, 0x7f] && mpint([0, 0x80]) == [0, 0, 0, 2, 0, 0x80])
    }
}
