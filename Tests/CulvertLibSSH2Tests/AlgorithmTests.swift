import CulvertPlan
import CulvertSSH
import Foundation
import Testing

@testable import CulvertLibSSH2

/// The algorithm lists in ssh's syntax, and the words for a negotiation that failed.
@Suite struct AlgorithmTests {
    private let known = ["aes256-ctr", "aes192-ctr", "aes128-ctr", "aes256-cbc", "aes128-cbc", "3des-cbc"]

    private func list(_ setting: String?, preferred: [String] = []) throws -> String {
        try AlgorithmChoice.cipher.list(setting.flatMap { AlgorithmList($0) }, known: known, preferred: preferred)
            .joined(separator: ",")
    }

    @Test func syntax() throws {
        #expect(try list(nil) == "aes256-ctr,aes192-ctr,aes128-ctr")
        #expect(try list("aes128-cbc,aes128-ctr") == "aes128-cbc,aes128-ctr")
        #expect(try list("+3des-cbc,aes128-ctr") == "aes256-ctr,aes192-ctr,aes128-ctr,3des-cbc")
        #expect(try list("-aes2*,aes192-ct?") == "aes128-ctr")
        #expect(try list("^aes128-*") == "aes128-ctr,aes128-cbc,aes256-ctr,aes192-ctr")
        #expect(try list(nil, preferred: ["aes128-ctr", "rot13"]) == "aes128-ctr,aes256-ctr,aes192-ctr")
        #expect(try list("aes256-ctr,aes128-ctr", preferred: ["aes128-ctr"]) == "aes256-ctr,aes128-ctr")
    }

    @Test func mistakesAreNamed() throws {
        let standard = try list(nil)
        #expect(try list("+chacha20-poly1305@openssh.com") == standard)
        #expect(try list("chacha20-poly1305@openssh.com,aes128-ctr") == "aes128-ctr")
        let unknown = #expect(throws: SSHError.self) { _ = try list("chacha20-poly1305@openssh.com") }
        #expect(unknown?.kind == .unsupported)
        #expect(unknown?.description.contains("chacha20-poly1305@openssh.com") == true)
        #expect(unknown?.description.contains("3des-cbc") == true)
        let nothing = #expect(throws: SSHError.self) { _ = try list("-*") }
        #expect(nothing?.description.contains("leaves no cipher") == true)
    }

    @Test func nothingWeakIsOfferedUnnamed() {
        for choice in AlgorithmChoice.allCases {
            for name in choice.safe {
                for weak in ["cbc", "sha1", "md5", "arcfour", "ssh-rsa", "ssh-dss", "ripemd", "group1-"] {
                    #expect(!name.contains(weak))
                }
            }
        }
    }

    @Test func versions() {
        #expect(LibSSH2Version("1.10.0") == LibSSH2Version(major: 1, minor: 10, patch: 0))
        #expect(LibSSH2Version("1.11.1_DEV") == LibSSH2Version.strictKeyExchange)
        #expect(LibSSH2Version("1.12") == LibSSH2Version(major: 1, minor: 12, patch: 0))
        for text in ["", "x", "1", "."] { #expect(LibSSH2Version(text) == nil) }
        #expect(LibSSH2Version.inUse >= LibSSH2Version(major: 1, minor: 10, patch: 0))
    }

    /// CVE-2023-48795.
    @Test func whatTerrapinBreaksIsForNewerLibraries() {
        let old = LibSSH2Version(major: 1, minor: 11, patch: 0)
        let new = LibSSH2Version(major: 1, minor: 11, patch: 1)
        for name in ["chacha20-poly1305@openssh.com", "hmac-sha2-256-etm@openssh.com", "hmac-sha1-etm@openssh.com"] {
            #expect(old.mustNotUse(name))
            #expect(!new.mustNotUse(name))
        }
        for name in ["aes256-ctr", "aes256-gcm@openssh.com", "hmac-sha2-256", "aes128-cbc"] {
            #expect(!old.mustNotUse(name))
        }
        let error = #expect(throws: SSHError.self) {
            _ = try AlgorithmChoice.mac.list(
                AlgorithmList("hmac-sha2-256-etm@openssh.com"), known: ["hmac-sha2-256"],
                withheld: ["hmac-sha2-256-etm@openssh.com"])
        }
        #expect(error?.description.contains("Terrapin") == true)
    }

    @Test func hostKeysThatAreKnown() throws {
        #expect(AlgorithmChoice.checking(["rsa-sha2-512", "rsa-sha2-256"]).last == "ssh-rsa")
        #expect(AlgorithmChoice.checking(["ssh-ed25519"]) == ["ssh-ed25519"])
        // A newer library checks them with SHA-2, before all others.
        let newer = ["ssh-ed25519", "rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"]
        let list = try AlgorithmChoice.hostKey.list(
            nil, known: newer, preferred: AlgorithmChoice.checking(["rsa-sha2-512", "rsa-sha2-256"]))
        #expect(list == ["rsa-sha2-512", "rsa-sha2-256", "ssh-ed25519"])
        try AlgorithmChoice.requireCheckable([], offered: ["ssh-ed25519"], library: newer)
        try AlgorithmChoice.requireCheckable(["ssh-ed25519"], offered: ["ssh-ed25519"], library: newer)
        #expect(throws: SSHError.self) {
            try AlgorithmChoice.requireCheckable(
                ["sk-ssh-ed25519@openssh.com"], offered: ["ssh-ed25519"], library: newer)
        }
    }

    /// What the native engine's advice rests on.
    @Test func theNativeEngineKnowsWhatThisOneHas() throws {
        for (choice, named, settings) in [
            (AlgorithmChoice.keyExchange, OlderEngine.keyExchange, LibSSH2Settings(keyExchange: AlgorithmList("x"))),
            (.hostKey, OlderEngine.hostKey, LibSSH2Settings(hostKeyAlgorithms: AlgorithmList("x"))),
            (.cipher, OlderEngine.ciphers, LibSSH2Settings(ciphers: AlgorithmList("x"))),
            (.mac, OlderEngine.macs, LibSSH2Settings(macs: AlgorithmList("x"))),
        ] {
            #expect(named.starts(with: choice.safe))
            // The refusal of a name that is none lists what the library has.
            let error = #expect(throws: SSHError.self) {
                var login = try LibSSH2Login(settings: settings)
                _ = try login.advance(TestAuthority([]))
            }
            let has = try #require(error?.description.components(separatedBy: "it has ").last)
            let library = Set(has.split(separator: ",").map(String.init))
            #expect(library.isSuperset(of: named), "\(choice): \(library)")
        }
    }

    private func greeting(_ lists: [String]) -> [UInt8] {
        var bytes =
            Array("Welcome\r\nSSH-2.0-Old_1.0\r\n".utf8) + [0, 0, 0, 0, 4, 20] + [UInt8](repeating: 7, count: 16)
        for list in lists { bytes += [0, 0, UInt8(list.utf8.count >> 8), UInt8(list.utf8.count & 255)] + list.utf8 }
        return bytes
    }

    @Test func whatTheServerOffered() {
        let bytes = greeting(["dh-a,dh-b", "ssh-rsa", "aes128-cbc,x", "aes128-cbc,x", "m", "m"])
        let seen = ServerGreeting(bytes)
        #expect(seen.version?.description == "SSH-2.0-Old_1.0")
        let offered: [AlgorithmChoice: [String]] = [
            .keyExchange: ["dh-b"], .hostKey: ["ssh-rsa"], .cipher: ["aes256-ctr"], .mac: ["m"],
        ]
        let words = seen.explanation(offered: offered, known: [.cipher: known])
        #expect(words?.contains("no cipher is shared: the server offers aes128-cbc,x") == true)
        #expect(words?.contains("-o Ciphers=+aes128-cbc ") == true)
        // Cut anywhere, it says less and never fails.
        for length in 0..<bytes.count { _ = ServerGreeting(Array(bytes[..<length])) }
        #expect(ServerGreeting(Array(bytes.dropLast())).explanation(offered: offered, known: [:]) == nil)
    }
}
