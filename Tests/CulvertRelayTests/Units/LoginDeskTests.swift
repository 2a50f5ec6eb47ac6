import CulvertIO
import CulvertPlan
import CulvertSSH
import Testing

@testable import CulvertRelay

/// A login's questions across the line, and what a child that a server has in its hands gets out of its parent.
@Suite struct LoginDeskTests {
    /// Trusts one host key, and has a key that signs and a password.
    private final class Authority: LoginAuthority, @unchecked Sendable {
        let userName = "me"
        var refusals: [String?] = []
        var banners: [String] = []
        private var credentials: [Credential]
        init(_ credentials: [Credential]) { self.credentials = credentials }

        var attempted: [String] { ["key one: refused"] }
        var accepted: [String] { ["a password"] }
        var handedOutSecret: Bool { true }
        func knownHostKeyAlgorithms() -> [String] { ["ssh-ed25519"] }
        func verify(hostKey key: [UInt8]) throws(SSHError) {
            if key != [1, 2, 3] { throw SSHError(.hostKey, "changed") }
        }
        func bindAgent(hostKey: [UInt8], sessionID: [UInt8], signature: [UInt8]) -> Bool { sessionID == [9] }
        func nextCredential(methods: [String], partialSuccess: Bool) throws(SSHError) -> Credential? {
            credentials.isEmpty ? nil : credentials.removeFirst()
        }
        func refused(reason: String?) { refusals.append(reason) }
        func answer(_ challenge: Challenge) throws(SSHError) -> [Secret]? {
            challenge.prompts.map { Self.secret("\($0.text)") }
        }
        func show(banner: PeerText) { banners.append(banner.description) }

        static func secret(_ text: String) -> Secret {
            var bytes = Array(text.utf8)
            return Secret(wiping: &bytes)
        }
    }

    private static var watch: LoginWatch {
        LoginWatch(login: LinkID(place: 0, serial: 1), race: LoginRace()) {}
    }

    private static var plan: TunnelPlan {
        TunnelPlan(
            server: ServerPlan(
                destination: CulvertPlan.Destination(host: "127.0.0.1", typedHost: "h", port: 1, user: "me"), home: ""))
    }

    /// Serves what `body` asks on another thread, and returns what the desk made of the login.
    private static func served(
        _ authority: Authority, _ body: @escaping @Sendable (LoginAsker) -> Void
    ) throws -> (result: Result<String?, SSHError>, secret: SecretUse) {
        let (near, far) = try ProcessLine.pair()
        try CulvertIO.Thread.start(name: "asker") { body(LoginAsker(far)) }
        let knocks = LoginKnocks(Guarded(KnockBudget()), .unlimited, isFirst: true)
        var desk = LoginDesk(plan, knocks: knocks, watch: Self.watch, journal: Journal(level: .error) { _ in }) {
            _, _ in authority
        }
        do throws(SSHError) {
            return (.success(try desk.serve(ProcessLine(adopting: near))), knocks.secret)
        } catch {
            return (.failure(error), knocks.secret)
        }
    }

    private static func signer(_ key: [UInt8]) -> Credential {
        .signer(name: "key", publicKey: key) { data throws(SSHError) in Array(data) }
    }

    /// RFC 4252 §7.
    private static func loginData(_ key: [UInt8]) -> [UInt8] {
        var data = WireBytes()
        data.string([7])
        data.byte(50)
        for text in ["me", "ssh-connection", "publickey"] { data.string(text) }
        data.byte(1)
        data.string("ssh-ed25519")
        data.string(key)
        return data.bytes
    }

    @Test("every question has the authority's answer")
    func answers() throws {
        let authority = Authority([
            .keyFile(name: "broken", contents: Authority.secret("no key"), passphrase: nil), Self.signer([4, 5]),
            .password(Authority.secret("open sesame")), .keyboardInteractive,
        ])
        let log = Guarded<[String]>([])
        let (result, secret) = try Self.served(authority) { asker in
            let asking = AskingAuthority(asker, hop: nil)
            var said = [asking.userName] + asking.attempted + asking.accepted + asking.knownHostKeyAlgorithms()
            if (try? asking.verify(hostKey: [0])) == nil { said.append("changed") }
            if (try? asking.verify(hostKey: [1, 2, 3])) != nil { said.append("trusted") }
            said.append("\(asking.bindAgent(hostKey: [], sessionID: [9], signature: []))")
            asking.show(banner: PeerText("welcome"))
            while let credential = try? asking.nextCredential(methods: ["publickey"], partialSuccess: false) {
                switch credential {
                case .keyFile: said.append("a file")
                case .signer(let name, let key, let sign):
                    let data = Self.loginData(key)
                    let isSigned = data.withUnsafeBytes { bytes in (try? sign(bytes)) == data }
                    said.append("\(name) \(isSigned)")
                case .password(let password): said.append(password.withBytes { String(decoding: $0, as: UTF8.self) })
                case .keyboardInteractive:
                    let prompts = ["one", "two"].map { Challenge.Prompt(text: PeerLines($0), echo: false) }
                    let challenge = Challenge(name: PeerText(""), instruction: PeerLines(""), prompts: prompts)
                    let answers = (try? asking.answer(challenge)) ?? nil
                    said += (answers ?? []).map { $0.withBytes { String(decoding: $0, as: UTF8.self) } }
                }
            }
            let all = said
            log.withLock { $0 = all }
            asker.tell(.loggedIn(summary: "libssh2"))
        }
        #expect(try result.get() == "libssh2")
        #expect(secret == .handedOut)
        #expect(
            log.withLock { $0 } == [
                "me", "key one: refused", "a password", "ssh-ed25519", "changed", "trusted", "true", "key true",
                "open sesame", "one", "two",
            ])
        #expect(authority.banners == ["welcome"])
        #expect(authority.refusals.count == 1, "the key file that does not open was refused here")
    }

    @Test("no credential before a host key is trusted, no signature but over a login's data, one way to the server")
    func limits() throws {
        let authority = Authority([Self.signer([4, 5]), .password(Authority.secret("secret"))])
        let log = Guarded<[Bool]>([])
        let (result, _) = try Self.served(authority) { asker in
            func isRefused(_ question: LoginQuestion) -> Bool { (try? asker.ask(question)) == nil }
            var refused = [isRefused(.attempted), isRefused(.authority(hop: 0))]
            _ = try? asker.ask(.authority(hop: nil))
            let next = LoginQuestion.nextCredential(methods: [], partialSuccess: false)
            refused += [isRefused(next), isRefused(.verify(hostKey: [6])), isRefused(next)]
            _ = try? asker.ask(.verify(hostKey: [1, 2, 3]))
            refused.append(isRefused(.sign(Self.loginData([4, 5]))))
            _ = try? asker.ask(next)
            refused += [isRefused(.sign([1, 2, 3])), isRefused(.sign(Self.loginData([6])))]
            refused.append(!isRefused(.sign(Self.loginData([4, 5]))))
            // A key that is not trusted takes the leave back.
            refused += [isRefused(.verify(hostKey: [6])), isRefused(next)]
            // The first fails for want of a server, the second is not made.
            refused += [isRefused(.open(hop: nil)), isRefused(.open(hop: nil))]
            let all = refused
            log.withLock { $0 = all }
            asker.tell(.failed(SSHError(.authentication, "denied")))
        }
        #expect(throws: SSHError(.authentication, "denied")) { try result.get() }
        #expect(log.withLock { $0 } == Array(repeating: true, count: 13))
    }

    @Test("a child that goes in the middle has come to nothing; one that cannot be read fails the login")
    func ends() throws {
        let (gone, _) = try Self.served(Authority([])) { _ in }
        #expect(try gone.get() == nil)
        let (near, far) = try ProcessLine.pair()
        let line = ProcessLine(adopting: far)
        line.send(ProcessLine.Message([99, 1, 2]))
        let knocks = LoginKnocks(Guarded(KnockBudget()), .unlimited, isFirst: true)
        var desk = LoginDesk(Self.plan, knocks: knocks, watch: Self.watch, journal: Journal(level: .error) { _ in }) {
            _, _ in Authority([])
        }
        #expect(throws: SSHError.self) { try desk.serve(ProcessLine(adopting: near)) }
    }
}
