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

    /// What is quick agrees with what is general, and leaves to it what it does not know.
    @Test func hiddenNamesAreFoundQuickly() throws {
        var generator = SeededGenerator(state: 3)
        let names = ["db.example", "[db.example]:2222", String(repeating: "x", count: 200)]
        func isOne(_ names: [String], _ line: String) -> Bool? {
            Array(line.utf8).withUnsafeBytes { HashedName.isOne(of: names.map { Array($0.utf8) }, $0) }
        }
        for _ in 0..<200 {
            let salt = (0..<20).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
            for name in names {
                let text = HostList.hashing(name, salt: salt).text
                #expect(isOne(names, "\(text) \(line)") == true && isOne([name], "\(text)\t\(line)") == true)
                #expect(isOne(["else"], "\(text) \(line)") == false)
                #expect(isOne([name], "\(text),x \(line)") == nil && isOne([name], text) == nil)
                #expect(isOne([name], "\(text.replacingOccurrences(of: "=", with: "!")) \(line)") == nil)
            }
            let short = HostList.hashing("db.example", salt: Array(salt.dropLast())).text
            #expect(isOne(["db.example"], "\(short) \(line)") == nil)
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

    @Test func onlyLinesThatMatterAreKeptAndTheVerdictIsTheSame() throws {
        var generator = SeededGenerator(state: 11)
        let hashed = HostList.hashing("db.example", salt: [UInt8](repeating: 9, count: 20)).text
        let fields = [
            "db.example", "DB.Example,other", "other", "*.example", "other,!db.example,*", hashed, "|2|a|b",
            "[db.example]:22", "db.examplex", "x,db.exampl", "\t db.example", "#db.example",
        ]
        let markers = ["", "", "", "@revoked ", "@cert-authority ", "@what "]
        let keys = [line, otherLine, "ssh-ed25519 AAAA", ""]
        for _ in 0..<500 {
            let text = (0..<6).map { _ in
                markers.randomElement(using: &generator)! + fields.randomElement(using: &generator)! + " "
                    + keys.randomElement(using: &generator)! + (Bool.random(using: &generator) ? "\r" : "")
            }.joined(separator: "\n")
            var (all, some) = (KnownHosts(), KnownHosts(.hosts(["db.example", "[db.example]:22"])))
            all.add(Array(text.utf8), file: "f")
            some.add(Array(text.utf8), file: "f")
            for name in ["db.example", "[db.example]:22"] {
                #expect(all.judge(key, name: name) == some.judge(key, name: name), "\(text)")
                #expect(all.keys(for: name) == some.keys(for: name))
                #expect(all.malformed(about: name) == some.malformed(about: name), "\(text)")
                #expect(all.malformedMarkers(about: name) == some.malformedMarkers(about: name), "\(text)")
            }
            var holders = KnownHosts(.holders(of: [key]))
            holders.add(Array(text.utf8), file: "f")
            #expect(all.otherPlaces(of: key, name: "x") == holders.otherPlaces(of: key, name: "x"), "\(text)")
        }
    }

    @Test("a file of many lines is read in pieces, and lines over their borders are lines")
    func pieces() throws {
        let mine = "db.example \(line)"
        for (before, after) in [(0, 0), (1, 1), (7000, 3), (3, 7000), (20_000, 20_000)] {
            let filler = "host.example \(otherLine)\n"
            // Without a line break at the end, and with lines of other lengths at the borders of pieces.
            let text =
                "# \(before)\n" + String(repeating: filler, count: before) + mine + "\n"
                + String(repeating: filler, count: after) + "db.example \(otherLine)"
            try workshop.write("many", text)
            var (known, all) = (KnownHosts(.hosts(["db.example"])), KnownHosts())
            try known.add(fileAt: workshop.file("many"))
            try all.add(fileAt: workshop.file("many"))
            #expect(known.entries.map(\.place.line) == [before + 2, before + after + 3])
            #expect(known.entries.map(\.key) == [key, other])
            #expect(all.entries.count == before + after + 2)
            #expect(all.entries.map(\.place.line) == Array(2...(before + after + 3)))
        }
    }

    @Test func aLineWithoutEndIsRefused() throws {
        try workshop.write("long", String(repeating: "x", count: KnownHosts.longestLine + 600_000))
        var known = KnownHosts()
        #expect(throws: LocalFile.Failure.tooLarge) { try known.add(fileAt: workshop.file("long")) }
    }

    @Test func anUnreadableMarkerConcernsEveryHostThatItMayBeAbout() {
        var known = KnownHosts()
        let text = "@what x \(line)\n@revoked x AAAA\n@revoked y AAAA\nx AAAA\n@revoked |9|a|b \(line)\n"
        known.add(Array(text.utf8), file: "f")
        #expect(known.malformedMarkers(about: "x").map(\.place.line) == [1, 2, 5])
        #expect(known.malformedMarkers(about: "z").map(\.place.line) == [1, 5])
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
