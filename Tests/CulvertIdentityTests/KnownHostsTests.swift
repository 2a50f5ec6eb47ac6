import CulvertSSH
import Testing

@testable import CulvertIdentity

@Suite struct KnownHostsTests {
    let workshop: Workshop
    let key: PublicKey
    let other: PublicKey
    let line: String
    let otherLine: String

    init() throws {
        workshop = try Workshop()
        try workshop.makeKey("one")
        try workshop.makeKey("two")
        key = try workshop.publicKey("one")
        other = try workshop.publicKey("two")
        line = try workshop.publicLine("one")
        otherLine = try workshop.publicLine("two")
    }

    private func judge(_ text: String, _ name: String) -> KnownHosts.Verdict {
        var known = KnownHosts()
        known.add(Array(text.utf8), file: "f")
        return known.judge(key, name: name)
    }

    private func place(_ line: Int) -> KnownHosts.Place { KnownHosts.Place(file: "f", line: line) }

    @Test(arguments: [
        ("db.example", "db.example", true), ("DB.example", "db.example", true), ("db.example", "db.example2", false),
        ("*.example", "db.example", true), ("*.example", "example", false), ("d?.example", "db.example", true),
        ("d?.example", "d.example", false), ("a,db.example,c", "db.example", true), ("*", "anything", true),
        ("*,!db.example", "db.example", false), ("!db.example,*", "db.example", false),
        ("!other,*", "db.example", true), ("!db.example", "other", false), ("", "", false),
        ("[db.example]:2222", "[db.example]:2222", true), ("db.example", "[db.example]:2222", false),
        ("[*.example]:2222", "[db.example]:2222", true), ("[db.example]:2222", "[db.example]:2223", false),
        ("a*b*c", "aXXbYYc", true), ("a*b*c", "aXXbYY", false), ("**", "x", true),
        ("192.168.0.?", "192.168.0.12", false),
    ])
    func aPatternMatchesAsInSSH(patterns: String, name: String, expected: Bool) {
        #expect(HostList(Array(patterns.utf8)[...])?.matches(name) == expected)
    }

    @Test func hostilePatternsTakeNoTime() {
        let name = String(repeating: "a", count: 200)
        let pattern = String(repeating: "*a", count: 200) + "b"
        #expect(!HostList.matches(Array(name.utf8), pattern: Array(pattern.utf8)))
    }

    @Test func aKnownKeyIsKnownAndAnotherOneChanged() throws {
        #expect(judge("# mine\n\n db.example\t\(line) a comment\n", "db.example") == .known(place(3)))
        #expect(judge("db.example \(line)\n", "else.example") == .unknown)
        guard case .changed(let entry) = judge("x \(line)\ndb.example \(otherLine)", "db.example") else {
            Issue.record("not changed")
            return
        }
        #expect(entry.place == place(2))
        #expect(entry.key == other)
        #expect(
            judge("db.example \(otherLine)\ndb.example \(line)\ndb.example \(line)", "db.example") == .known(place(2)))
    }

    @Test func anotherTypeIsAChangeToo() throws {
        try workshop.makeKey("ec", type: "ecdsa")
        let text = "db.example \(try workshop.publicLine("ec"))\n"
        guard case .changed(let entry) = judge(text, "db.example") else {
            Issue.record("a key of another type was not taken for a change")
            return
        }
        #expect(entry.key.family == "ECDSA")
    }

    @Test func revokedWinsWhereverItStands() {
        #expect(judge("db.example \(line)\n@revoked * \(line)\n", "db.example") == .revoked(place(2)))
        #expect(judge("@revoked\tdb.example \(line)\r\ndb.example \(line)\r\n", "db.example") == .revoked(place(1)))
        #expect(judge("@revoked else.example \(line)\n", "db.example") == .unknown)
        #expect(judge("@revoked * \(otherLine)\ndb.example \(line)\n", "db.example") == .known(place(2)))
    }

    @Test func certificateAuthoritiesSayNothingOfPlainKeys() {
        #expect(judge("@cert-authority * \(line)\n", "db.example") == .unknown)
        #expect(judge("@cert-authority * \(otherLine)\ndb.example \(line)\n", "db.example") == .known(place(2)))
    }

    @Test func onlySpaceAndTabPartWords() {
        #expect(judge("db.example\u{00a0}\(line)\n", "db.example") == .unknown)
        #expect(judge("db.example\u{000b}\(line)\n", "db.example") == .unknown)
        #expect(judge("db.example\u{2003}\(line)\n", "db.example") == .unknown)
    }

    @Test func theDeclaredTypeMustBeTheKeys() {
        let wrong = line.replacing("ssh-ed25519", with: "ssh-rsa")
        var known = KnownHosts()
        known.add(Array("db.example \(wrong)\n@odd db.example \(line)\n|2|a|b \(line)\n".utf8), file: "f")
        #expect(known.judge(key, name: "db.example") == .unknown)
        #expect(known.malformed.map(\.place.line) == [1, 2, 3])
        #expect(known.malformed(about: "db.example").map(\.place.line) == [1])
    }

    @Test func whatSSHKeygenHashesIsFound() throws {
        try workshop.write("known_hosts", "db.example \(line)\n[db.example]:2222 \(line)\n10.0.0.1 \(otherLine)\n")
        try workshop.run("ssh-keygen", ["-H", "-f", "known_hosts"])
        let text = try workshop.read("known_hosts")
        #expect(!text.contains("db.example") && text.hasPrefix("|1|"))
        #expect(judge(text, "db.example") == .known(place(1)))
        #expect(judge(text, "[db.example]:2222") == .known(place(2)))
        #expect(judge(text, "[db.example]:2223") == .unknown)
        guard case .changed = judge(text, "10.0.0.1") else {
            Issue.record("a hashed line with another key was not found")
            return
        }
    }

    @Test func mutatedLinesDoNoHarm() throws {
        var generator = SeededGenerator(state: 7)
        let salt = [UInt8](repeating: 9, count: 20)
        let hashed = HostList.hashing("db.example", salt: salt).text
        let text = Array("@revoked *,!a \(line) c\n\(hashed) \(otherLine)\n[db.example]:22,x? \(line)\n".utf8)
        var unknown = 0
        for _ in 0..<3_000 {
            var known = KnownHosts()
            known.add(mutated(text, &generator), file: "f")
            #expect(known.entries.count + known.malformed.count <= 8)
            if known.judge(key, name: "db.example") == .unknown { unknown += 1 }
        }
        #expect(unknown > 0)
    }

    @Test func base64IsStrict() {
        var generator = SeededGenerator(state: 1)
        for count in 0..<70 {
            let bytes = (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
            #expect(Base64.decode(Array(Base64.encode(bytes).utf8)) == bytes)
        }
        for bad in ["A", "AA", "AAA", "AA=A", "A===", "AB==", "AAB=", "AA==AAAA", "AA A", "AAA\n", "====", "AAAA="] {
            #expect(Base64.decode(Array(bad.utf8)) == nil, "\(bad)")
        }
    }
}
