import Testing

@testable import CulvertSSH

/// What a server must not do in a login, and what it may do only so often.
@Suite struct UserAuthHostileTests {
    private static let key = Script.string("ssh-ed25519") + Script.string([UInt8](repeating: 7, count: 32))
    private static let signature = Script.string("ssh-ed25519") + Script.string([UInt8](repeating: 8, count: 64))

    /// What the client waits for.
    enum Place: CaseIterable {
        case beforeBegin, none, probe, signature, password, keyboardInteractive, afterSuccess
    }

    private func bench(_ place: Place) throws -> LoginBench {
        let signer = Credential.signer(name: "agent key", publicKey: Self.key) { _ in Self.signature }
        let password = Credential.password(secret([65]))
        switch place {
        case .beforeBegin: return LoginBench(ScriptedAuthority())
        case .none, .afterSuccess:
            let bench = LoginBench(ScriptedAuthority([password]))
            _ = try bench.begin()
            if place == .afterSuccess { _ = try bench.hear(Script.success) }
            return bench
        case .probe, .signature:
            let (bench, _) = try LoginBench.afterNone(ScriptedAuthority([signer, password]))
            if place == .signature { _ = try bench.hear(Script.publicKeyOK("ssh-ed25519", Self.key)) }
            return bench
        case .password: return try LoginBench.afterNone(ScriptedAuthority([password, password])).0
        case .keyboardInteractive:
            return try LoginBench.afterNone(
                ScriptedAuthority([.keyboardInteractive, password], answers: [["x"], ["x"]])
            ).0
        }
    }

    private func violates(
        _ place: Place, _ message: [UInt8], sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let bench = try bench(place)
        let error = #expect(throws: SSHError.self, sourceLocation: sourceLocation) { try bench.hear(message) }
        #expect(error?.kind == .protocolViolation, "\(message.prefix(20))", sourceLocation: sourceLocation)
    }

    /// A message of each kind that the place takes, whole.
    private func taken(_ place: Place) -> [UInt8: [UInt8]] {
        var table: [UInt8: [UInt8]] = [
            51: Script.failure("password"), 52: Script.success, 53: Script.banner(Array("Hello".utf8)),
        ]
        switch place {
        case .beforeBegin, .afterSuccess: return [:]
        case .none, .signature: break
        case .probe: table[60] = Script.publicKeyOK("ssh-ed25519", Self.key)
        case .password: table[60] = Script.passwordChange("New password: ")
        case .keyboardInteractive: table[60] = Script.infoRequest("name", "instruction", [("Password: ", false)])
        }
        return table
    }

    @Test(arguments: Place.allCases, UInt8(0)...255)
    func everyMessageNumberInEveryPlace(_ place: Place, _ number: UInt8) throws {
        guard let whole = taken(place)[number] else {
            for rest in [[], [0], Array(Script.failure("password").dropFirst()), [UInt8](repeating: 0, count: 64)] {
                try violates(place, [number] + rest)
            }
            return
        }
        let bench = try bench(place)
        #expect(throws: Never.self) { try bench.hear(whole) }
        #expect(bench.isLoggedIn == (number == 52))
        // Cut anywhere, or with something behind it, it is malformed.
        for count in 1..<whole.count { try violates(place, Array(whole.prefix(count))) }
        try violates(place, whole + [0])
    }

    @Test(arguments: Place.allCases)
    func anEmptyMessage(_ place: Place) throws {
        try violates(place, [])
    }

    /// Every byte of a message is turned: it is refused, or means something else, and reads nothing that is not there.
    @Test(arguments: Place.allCases)
    func turnedMessages(_ place: Place) throws {
        for message in taken(place).values {
            for index in message.indices {
                for bit in 0..<8 {
                    var turned = message
                    turned[index] ^= 1 << bit
                    let bench = try bench(place)
                    do {
                        _ = try bench.hear(turned)
                    } catch let error as SSHError {
                        #expect([.protocolViolation, .authentication].contains(error.kind))
                    }
                }
            }
        }
    }

    @Test(arguments: [33, 1 << 16, 0x7fff_ffff, 0xffff_ffff])
    func questionsWithoutEnd(_ count: Int) throws {
        let head = [60] + Script.string("") + Script.string("") + Script.string("")
        try violates(.keyboardInteractive, head + Script.u32(count))
        let prompts = [[UInt8]](repeating: Script.string("?") + [0], count: min(count, 4000)).flatMap(\.self)
        try violates(.keyboardInteractive, head + Script.u32(count) + prompts)
    }

    @Test func asManyQuestionsAsAreTaken() throws {
        let texts = (0..<UserAuthInfoRequest.maximumPrompts).map { ("\($0)?", false) }
        let answers = texts.map { _ in "a" }
        let authority = ScriptedAuthority([.keyboardInteractive], answers: [answers])
        let (bench, _) = try LoginBench.afterNone(authority)
        #expect(try bench.hear(Script.infoRequest("", "", texts)) == Script.infoResponse(answers))
    }

    @Test func aListOfMethodsWithoutEnd() throws {
        let list = Array(repeating: "password", count: 200).joined(separator: ",")
        try violates(.none, Script.failure(list))
        try violates(.none, [51, 0xff, 0xff, 0xff, 0xff, 0])
    }

    // MARK: Circles

    /// A server that never says no for good, in each way it has.
    private func circles(_ credential: Credential, _ answer: (_ request: [UInt8]) -> [UInt8]) throws -> Int {
        let authority = ScriptedAuthority(
            Array(repeating: credential, count: 10_000), answers: Array(repeating: ["x"], count: 10_000))
        let bench = LoginBench(authority)
        var request = try bench.begin()
        for count in 1...10_000 {
            do throws(SSHError) {
                guard let next = try heard(bench, answer(request)) else {
                    Issue.record("silence")
                    return count
                }
                request = next
            } catch {
                #expect(error.kind == .authentication)
                #expect(error.description.hasSuffix("given up after \(UserAuthClient.maximumRequests) attempts"))
                return count
            }
        }
        Issue.record("no end")
        return 0
    }

    private func heard(_ bench: LoginBench, _ message: [UInt8]) throws(SSHError) -> [UInt8]? {
        do {
            return try bench.hear(message)
        } catch let error as SSHError {
            throw error
        } catch {
            preconditionFailure("only SSHError is thrown")
        }
    }

    @Test func refusalsWithoutEnd() throws {
        let password = Credential.password(secret([65]))
        #expect(try circles(password) { _ in Script.failure("password") } == UserAuthClient.maximumRequests)
    }

    @Test func partialSuccessesWithoutEnd() throws {
        let password = Credential.password(secret([65]))
        #expect(
            try circles(password) { _ in Script.failure("password", partial: true) } == UserAuthClient.maximumRequests)
    }

    @Test func probesWithoutEnd() throws {
        let signer = Credential.signer(name: "agent key", publicKey: Self.key) { _ in Self.signature }
        let count = try circles(signer) { request in
            request == Script.probe("ssh-ed25519", Self.key)
                ? Script.publicKeyOK("ssh-ed25519", Self.key) : Script.failure("publickey")
        }
        #expect(count == UserAuthClient.maximumRequests)
    }

    @Test func roundsWithoutEnd() throws {
        let count = try circles(.keyboardInteractive) { request in
            request[0] == 50 && request != Script.interactive
                ? Script.failure("keyboard-interactive") : Script.infoRequest("", "", [("?", false)])
        }
        #expect(count == UserAuthClient.maximumRequests)
    }

    @Test func roundsWithoutQuestions() throws {
        let authority = ScriptedAuthority(
            Array(repeating: .keyboardInteractive, count: 1000), answers: Array(repeating: [], count: 1000))
        let (bench, _) = try LoginBench.afterNone(authority, methods: "keyboard-interactive")
        var rounds = 0
        let error = #expect(throws: SSHError.self) {
            while rounds < 1000 {
                let answer = try bench.hear(Script.infoRequest("", "", []))
                #expect(answer == Script.infoResponse([]))
                rounds += 1
            }
        }
        #expect(error?.kind == .authentication && rounds <= UserAuthClient.maximumRequests)
    }

    /// Nothing of ours is sent for these, and still there is an end.
    @Test func credentialsThatAreNoneWithoutEnd() throws {
        let broken = Credential.keyFile(name: "key", contents: secret([1]), passphrase: nil)
        #expect(try circles(broken) { _ in Script.failure("publickey") } == 1)
    }

    @Test func passwordChangesWithoutEnd() throws {
        let password = Credential.password(secret([65]))
        let count = try circles(password) { request in
            request == Script.authRequest("none") ? Script.failure("password") : Script.passwordChange("again")
        }
        #expect(count == UserAuthClient.maximumRequests)
    }

    // MARK: Banners

    @Test func bannersWithoutEnd() throws {
        let bench = try bench(.none)
        for _ in 0..<UserAuthClient.maximumBanners { _ = try bench.hear(Script.banner(Array("x".utf8))) }
        let error = #expect(throws: SSHError.self) { try bench.hear(Script.banner(Array("x".utf8))) }
        #expect(error?.kind == .protocolViolation)
    }

    @Test func aBannerIsShownLineByLineAndSafe() throws {
        let bench = try bench(.password)
        _ = bench.authority.takeEvents()
        let text = "Welcome\r\n\r\n\u{1b}]0;owned\u{7}\u{202e}x\nlast"
        #expect(try bench.hear(Script.banner(Array(text.utf8) + [0xff])) == nil)
        #expect(
            bench.authority.takeEvents() == [
                "banner Welcome", "banner ", "banner \\u{1b}]0;owned\\u{7}\\u{202e}x", "banner last\u{fffd}",
            ])
        // The login goes on where it was.
        _ = try bench.hear(Script.success)
        #expect(bench.isLoggedIn)
    }

    @Test(arguments: [UInt8(ascii: "\n"), UInt8(ascii: "x"), 0])
    func aHugeBannerIsCut(_ byte: UInt8) throws {
        let bench = try bench(.none)
        _ = try bench.hear(Script.banner([UInt8](repeating: byte, count: 256 * 1024)))
        let lines = bench.authority.takeEvents()
        #expect(lines.count == (byte == UInt8(ascii: "\n") ? PeerLines.maximumLines + 1 : 1))
        #expect(lines.allSatisfy { $0.count <= 6 * PeerText.maximumLength })
        if byte == UInt8(ascii: "\n") { #expect(lines.last == "banner (262094 bytes more are not shown)") }
    }

    @Test func hugeTextsOfQuestionsAreCut() throws {
        let huge = String(repeating: "\u{1b}", count: 60_000)
        let authority = ScriptedAuthority([.keyboardInteractive], answers: [["x"]])
        let (bench, _) = try LoginBench.afterNone(authority)
        _ = try bench.hear(Script.infoRequest(huge, huge, [(huge, true)]))
        let asked = try #require(authority.takeEvents().last)
        #expect(!asked.contains("\u{1b}"))
        #expect(asked.utf8.count < 4 * 6 * PeerText.maximumLength)
    }

    // MARK: Our own faults

    @Test func aLoginBeginsOnce() async {
        await #expect(processExitsWith: .failure) {
            let bench = LoginBench(ScriptedAuthority())
            _ = try bench.begin()
            _ = try bench.begin()
        }
    }
}
