import CulvertPlan
import Testing

@testable import CulvertSSH

/// ssh's syntax for lists of algorithms, and RekeyLimit's.
@Suite struct AlgorithmListTests {
    private let all = AlgorithmKind.hostKey.known

    @Test func syntax() throws {
        func list(_ setting: String?, preferred: [String] = []) throws -> [String] {
            try AlgorithmKind.hostKey.offer(setting.flatMap { AlgorithmList($0) }, preferred: preferred)
        }
        #expect(try list(nil) == all)
        let plain = Array(all.suffix(8))
        #expect(plain.first == "ssh-ed25519" && all.count == 16 && !all.contains("ssh-rsa"))
        #expect(all.prefix(8) == plain.map(CertificateType.name)[...])
        #expect(try list("rsa-sha2-256,ssh-ed25519") == ["rsa-sha2-256", "ssh-ed25519"])
        #expect(try list("-ecdsa*,*-cert-*,sk-*") == ["ssh-ed25519", "rsa-sha2-512", "rsa-sha2-256"])
        #expect(try list("*-cert-*") == Array(all.prefix(8)))
        #expect(try list("-nothing-we-have") == all)
        #expect(try list("+rsa-sha2-256") == all)
        #expect(try list("^rsa-sha2-???") == ["rsa-sha2-512", "rsa-sha2-256"] + all.prefix(14))
        #expect(try list(nil, preferred: ["rsa-sha2-256", "unknown"]) == ["rsa-sha2-256"] + all.dropLast())
        // An order of the user's own stands.
        #expect(try list("rsa-sha2-512,rsa-sha2-256", preferred: ["rsa-sha2-256"]) == ["rsa-sha2-512", "rsa-sha2-256"])
        // What the engine has not falls out, as long as something is left.
        for nothing in ["+ssh-dss", "^x"] { #expect(try list(nothing) == all) }
        #expect(try list("ssh-rsa,ssh-ed25519,x") == ["ssh-ed25519"])
        for wrong in ["ssh-rsa", "ssh-rsa,ssh-dss", "-*", "x*"] {
            let error = #expect(throws: SSHError.self) { try list(wrong) }
            #expect(error?.kind == .unsupported)
            #expect(error?.description.contains("HostKeyAlgorithms") == true)
        }
        for kind in AlgorithmKind.allCases {
            #expect(try kind.offer(nil) == kind.standard && !kind.standard.isEmpty)
        }
        // As OpenSSH 10; what only some may use waits until it is named.
        #expect(
            AlgorithmKind.keyExchange.standard.joined(separator: ",")
                == "mlkem768x25519-sha256,sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com,"
                + "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,diffie-hellman-group-exchange-sha256,"
                + "diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,diffie-hellman-group14-sha256")
        let further = try AlgorithmKind.keyExchange.offer(AlgorithmList("+mlkem768nistp256-sha256"))
        #expect(further == AlgorithmKind.keyExchange.known)
    }

    @Test(arguments: [
        ("a*", "abc", true), ("*c", "abc", true), ("a?c", "abc", true), ("*", "", true), ("a*b*c", "axxbxxc", true),
        ("a", "ab", false), ("ab", "a", false), ("?", "", false), ("*d", "abc", false), ("a*b*c", "acb", false),
        ("**", "x", true), ("", "", true), ("", "x", false),
    ])
    func patterns(_ pattern: String, _ name: String, _ matches: Bool) {
        #expect(Wildcard.matches(name, pattern: pattern) == matches)
    }

    /// What is no list is none before an engine sees it.
    @Test(arguments: ["", ",", ",,", "+", "-", "^,", "a b", "é", String(repeating: "a", count: 65)])
    func noList(_ text: String) { #expect(AlgorithmList(text) == nil) }

    @Test(arguments: ["a", "+a,b", "-a*", "^a,b", "a@b.c"])
    func saidAgain(_ text: String) { #expect(AlgorithmList(text)?.description == text) }

    @Test func knownHostKeysComeFirst() throws {
        let offer = try Offer(NativeSettings(), preferred: ["ssh-rsa", "ecdsa-sha2-nistp384"], signer: nil)
        #expect(
            offer.hostKey == ["rsa-sha2-512", "rsa-sha2-256", "ecdsa-sha2-nistp384"] + all.prefix(8) + [
                "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp521", "sk-ssh-ed25519@openssh.com",
                "sk-ecdsa-sha2-nistp256@openssh.com",
            ])
        let certified = ["ssh-rsa-cert-v01@openssh.com", "rsa-sha2-256-cert-v01@openssh.com"]
        #expect(try Offer(NativeSettings(), preferred: certified, signer: nil).hostKey.first == certified[1])
    }

    @Test func aWrongListIsFoundBeforeAnythingIsSent() {
        for change in [
            { $0.ciphers = AlgorithmList("aes256-cbc") }, { $0.keyExchange = AlgorithmList("x") },
            { $0.macs = AlgorithmList("x") }, { $0.hostKeyAlgorithms = AlgorithmList("x") },
            { $0.publicKeyAlgorithms = AlgorithmList("ssh-rsa") },
        ] as [(inout NativeSettings) -> Void] {
            var settings = NativeSettings()
            change(&settings)
            let error = #expect(throws: SSHError.self) { _ = try ClientLogin(settings: settings) }
            #expect(error?.kind == .unsupported)
        }
    }

    @Test func theOtherEngineIsNamedForWhatItHas() throws {
        for (name, words) in [
            ("aes256-cbc", "; --engine libssh2 has it"), ("aes256-cbc,3des-cbc", "; --engine libssh2 has it"),
            ("aes256-cbc,arcfour", "; --engine libssh2 has aes256-cbc"), ("aes256-crt", ""),
        ] {
            let error = #expect(throws: SSHError.self) {
                try AlgorithmKind.cipher.offer(AlgorithmList(name))
            }
            let all = AlgorithmKind.cipher.known.joined(separator: ",")
            #expect(error?.description == "Ciphers: the native engine has no cipher \"\(name)\"; it has \(all)\(words)")
            var list = try #require(AlgorithmList(name))
            list.place = "config line 3: "
            let placed = #expect(throws: SSHError.self) { try AlgorithmKind.cipher.offer(list) }
            #expect(placed?.description.hasPrefix("config line 3: Ciphers: ") == true)
        }
    }

    @Test func limitsOfOneKey() {
        var use = KeyUse()
        var limits = RekeyLimits()
        limits.bytes = 100
        use.count(99)
        #expect(!limits.isDue(use) && !limits.isOver(use))
        use.count(1)
        #expect(limits.isDue(use) && !limits.isOver(use))
        limits = RekeyLimits()
        limits.packets = 2
        #expect(limits.isDue(use))
        use.count(60 << 30)
        #expect(limits.isOver(use))
    }
}
