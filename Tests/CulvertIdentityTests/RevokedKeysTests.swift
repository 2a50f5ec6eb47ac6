import CulvertPlan
import Foundation
import Testing

@testable import CulvertIdentity
@testable import CulvertSSH

/// RevokedHostKeys, with lists that `ssh-keygen -k` makes and `ssh-keygen -Q` judges.
@Suite struct RevokedKeysTests {
    let workshop: Workshop
    private static let names = ["plain", "rsa", "ecdsa", "c1", "c7", "c300", "other"]

    init() throws {
        workshop = try Workshop()
        try workshop.makeKey("ca")
        try workshop.makeKey("elsewhere")
        try workshop.makeKey("plain")
        try workshop.makeKey("rsa", type: "rsa", options: ["-b", "2048"])
        try workshop.makeKey("ecdsa", type: "ecdsa")
        for (name, serial, authority) in [
            ("c1", "1", "ca"), ("c7", "7", "ca"), ("c300", "300", "ca"), ("other", "7", "elsewhere"),
        ] {
            try workshop.makeKey(name)
            try workshop.run(
                "ssh-keygen",
                ["-q", "-s", authority, "-I", "id of \(name)", "-h", "-n", "db.example", "-z", serial, "\(name).pub"])
        }
    }

    private func shown(_ name: String) throws -> PublicKey {
        let certificate = workshop.file("\(name)-cert.pub")
        let file = FileManager.default.fileExists(atPath: certificate) ? "\(name)-cert.pub" : "\(name).pub"
        return try #require(KeyFile.publicLine(Array(try workshop.read(file).utf8)))
    }

    /// As `ssh-keygen -Q` judges it; nil: it does not read the list.
    private func oracle(_ list: String, _ name: String) throws -> Bool? {
        let certificate = FileManager.default.fileExists(atPath: workshop.file("\(name)-cert.pub"))
        let file = certificate ? "\(name)-cert.pub" : "\(name).pub"
        do {
            _ = try workshop.run("ssh-keygen", ["-Q", "-f", list, file])
            return false
        } catch let failure as Workshop.Failure {
            return failure.what.contains("REVOKED") ? true : nil
        }
    }

    private func expectAsOracle(_ list: String, sourceLocation: SourceLocation = #_sourceLocation) throws -> [Bool] {
        try Self.names.map { name in
            let verdict = RevokedKeysFile(path: workshop.file(list)).verdict(on: try shown(name))
            let wanted: RevokedKeysFile.Verdict = try oracle(list, name) == true ? .revoked : .notRevoked
            #expect(verdict == wanted, "\(list), \(name)", sourceLocation: sourceLocation)
            return verdict == .revoked
        }
    }

    private static let specifications = [
        "serial: 1\n", "serial: 1-7\n", "serial: 2\nserial: 4\nserial: 7\nserial: 9\nserial: 11\n",
        "serial: 290-310\nserial: 1\n", "id: id of c300\n", "serial: 1000\n", "id: nobody\n",
        (1...600).filter { $0 % 3 == 0 }.map { "serial: \($0)\n" }.joined(), "serial: 18446744073709551615\n",
    ]

    @Test("certificates by number, range, bitmap and name", arguments: specifications)
    func certificates(_ specification: String) throws {
        try workshop.write("spec", specification)
        try workshop.run("ssh-keygen", ["-q", "-k", "-f", "list", "-s", "ca.pub", "spec"])
        let verdicts = try expectAsOracle("list")
        #expect(!verdicts[6], "of another authority nothing is said")
        try workshop.run("ssh-keygen", ["-q", "-k", "-f", "all", "-s", "none", "spec"])
        _ = try expectAsOracle("all")
    }

    @Test func keysHashesAndAuthorities() throws {
        for (name, specification) in [
            ("keys", "key: \(try workshop.read("plain.pub"))key: \(try workshop.read("rsa.pub"))"),
            ("sha1", "sha1: \(try workshop.read("ecdsa.pub"))"), ("authority", try workshop.read("ca.pub")),
            ("sha256", "sha256: \(try workshop.read("c7.pub"))sha256: \(try workshop.read("plain.pub"))"),
            ("hash", "hash: \(try shown("plain").fingerprint)\n"), ("certificate", try workshop.read("c300-cert.pub")),
            ("empty", "# nothing\n"),
        ] {
            try workshop.write("spec", specification)
            try workshop.run("ssh-keygen", ["-q", "-k", "-f", name, "spec"])
            let verdicts = try expectAsOracle(name)
            #expect(verdicts.contains(true) == (name != "empty"), "\(name)")
        }
        try workshop.write("spec", "serial: 7\n")
        try workshop.run("ssh-keygen", ["-q", "-k", "-u", "-f", "keys", "-s", "ca.pub", "spec"])
        #expect(try expectAsOracle("keys") == [true, true, false, false, true, false, false])
    }

    @Test("a list of public keys, with comments; the authority's key revokes its certificates")
    func plainLists() throws {
        try workshop.write("list", "# a list\n\n  \(try workshop.read("plain.pub"))\(try workshop.read("ca.pub"))")
        let verdicts = try Self.names.map {
            RevokedKeysFile(path: workshop.file("list")).verdict(on: try shown($0)) == .revoked
        }
        #expect(verdicts == [true, false, false, true, true, true, false])
        try workshop.write("list", "\(try workshop.read("plain.pub"))no key at all\n")
        guard case .unreadable(let why) = RevokedKeysFile(path: workshop.file("list")).verdict(on: try shown("rsa"))
        else {
            Issue.record("a line that is no key makes the file unreadable")
            return
        }
        #expect(why == "line 2 is no public key")
        #expect(RevokedKeysFile(path: "/dev/null").verdict(on: try shown("rsa")) == .notRevoked)
    }

    // MARK: Lists that ssh-keygen does not make

    private static let header =
        Array("SSHKRL\n\0".utf8) + [0, 0, 0, 1] + [UInt8](repeating: 0, count: 24) + string([]) + string([])
    private static func string(_ bytes: [UInt8]) -> [UInt8] {
        withUnsafeBytes(of: UInt32(bytes.count).bigEndian) { Array($0) } + bytes
    }
    private static func section(_ type: UInt8, _ body: [UInt8]) -> [UInt8] { [type] + string(body) }
    private static func parts(_ body: [UInt8], authority: [UInt8] = []) -> [UInt8] {
        section(1, string(authority) + string([]) + body)
    }
    private static func number(_ value: UInt64) -> [UInt8] { withUnsafeBytes(of: value.bigEndian) { Array($0) } }
    private static func extended(_ isCritical: UInt8) -> [UInt8] {
        string(Array("x@y".utf8)) + [isCritical] + string([1, 2])
    }

    /// Whether each is taken, which the installed ssh is asked too.
    private static let forms: [([UInt8], Bool)] = [
        (header, true), (header + section(255, extended(0)), true), (header + section(255, extended(1)), false),
        (header + parts(section(0x39, extended(0))), true), (header + parts(section(0x39, extended(1))), false),
        (header + section(9, []), false), (header + parts(section(0x24, [])), false),
        (header + section(3, string([1, 2, 3])), false), (header + section(5, string([1, 2, 3])), false),
        (header + section(2, [0, 0, 0, 9]), false), (header + [2, 0, 0, 0, 9], false), (header + [2], false),
        (header + parts([], authority: [1, 2, 3]), false),
        (header + parts(section(0x20, number(0))), false), (header + parts(section(0x20, [1])), false),
        (header + parts(section(0x21, number(9) + number(8))), false),
        (header + parts(section(0x21, number(1) + number(2) + [0])), false),
        (header + parts(section(0x22, number(5) + string([0x80]))), false),
        (header + parts(section(0x22, number(.max) + string([2]))), false),
        (header + parts(section(0x22, number(.max) + string([1]))), true),
        (header + parts(section(0x22, number(1) + string([UInt8](repeating: 1, count: 3000)))), false),
        (header + parts(section(0x23, string([65, 0, 66]))), false), (header.dropLast() + [], false),
        (Array(header[..<8]) + [0, 0, 0, 2] + header[12...], false),
    ]

    @Test(arguments: 0..<forms.count)
    func form(_ number: Int) throws {
        let (bytes, isTaken) = Self.forms[number]
        try Data(bytes).write(to: URL(fileURLWithPath: workshop.file("list")))
        // Extensions are of OpenSSH 9.4; the installed one knows none.
        let isNewer = isTaken && (1...3).contains(number)
        #expect((try oracle("list", "plain") != nil) == (isTaken && !isNewer), "ssh-keygen reads it")
        let verdict = RevokedKeysFile(path: workshop.file("list")).verdict(on: try shown("c7"))
        if isTaken { #expect(verdict == .notRevoked) }
        if case .unreadable = verdict { #expect(!isTaken, "\(verdict)") } else { #expect(isTaken) }
    }

    @Test("a damaged list revokes all, or is read as another whole list: it never breaks")
    func damage() throws {
        try workshop.write("spec", Self.specifications[7] + "id: id of c1\n")
        try workshop.run("ssh-keygen", ["-q", "-k", "-f", "list", "-s", "ca.pub", "spec", "plain.pub"])
        let whole = Array(try Data(contentsOf: URL(fileURLWithPath: workshop.file("list"))))
        let key = try shown("plain")
        #expect(try KeyRevocationList.revokes(key, whole))
        for count in 0..<whole.count {
            let cut = Array(whole[..<count])
            #expect((try? KeyRevocationList.revokes(key, cut)) != true || count > whole.count / 2)
        }
        for place in 0..<whole.count {
            var flipped = whole
            flipped[place] ^= 1 << (place % 8)
            _ = try? KeyRevocationList.revokes(key, flipped)
        }
    }

    // MARK: In a login

    private func refusal(_ settings: ServerPlan, _ key: PublicKey, address: String? = nil) -> SSHError? {
        let identity = Identity(
            server: settings, memory: IdentityMemory(), mayPrompt: false, prompter: ScriptedPrompter(),
            notice: { _ in })
        if let address { identity.connects(to: address) }
        do throws(SSHError) { try identity.verify(hostKey: key.blob) } catch { return error }
        return nil
    }

    @Test func revokedKeysUnreadableFilesAndShortKeysEndTheLogin() throws {
        var settings = workshop.settings()
        try workshop.write(
            "known_hosts",
            "db.example \(try workshop.publicLine("plain"))\ndb.example \(try workshop.publicLine("rsa"))\n")
        let (plain, rsa) = (try shown("plain"), try shown("rsa"))
        #expect(refusal(settings, plain) == nil)
        try workshop.write("list", try workshop.read("rsa.pub"))
        settings.hostKeys.revokedKeysFiles = ["/dev/null", workshop.file("list")]
        #expect(refusal(settings, plain) == nil)
        #expect(refusal(settings, rsa)?.description.contains("is revoked by \(workshop.file("list"))") == true)
        settings.hostKeys.revokedKeysFiles.append(workshop.file("missing"))
        #expect(refusal(settings, plain)?.description.contains("every key counts as revoked") == true)
        settings.hostKeys.revokedKeysFiles = ["none"]
        settings.hostKeys.requiredRSASize = 2048
        #expect(refusal(settings, rsa) == nil)
        settings.hostKeys.requiredRSASize = 2049
        #expect(
            refusal(settings, rsa)?.description.contains("has 2048 bits, and RequiredRSASize asks for 2049") == true)
        #expect(refusal(settings, plain) == nil)
    }

    @Test func localhostNeedsNoKeyWhereThatIsSaid() throws {
        var settings = workshop.settings()
        settings.hostKeys.trustsLocalhost = true
        let key = try shown("plain")
        for (address, isTaken) in [
            ("127.0.0.1", true), ("127.9.9.9", true), ("::1", true), ("10.0.0.1", false), ("1127.0.0.1", false),
            (nil, false),
        ] as [(String?, Bool)] {
            #expect((refusal(settings, key, address: address) == nil) == isTaken, "\(address ?? "-")")
        }
        settings.hostKeys.alias = "db"
        #expect(refusal(settings, key, address: "127.0.0.1") != nil, "an alias names it")
    }
}
