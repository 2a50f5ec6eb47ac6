@testable import CulvertSSH

/// An authority that hands out what a test gives it, and remembers what it was told.
final class ScriptedAuthority: LoginAuthority {
    let userName: String
    var credentials: [Credential]
    var answers: [[String]?]
    /// In order: `next publickey,password partial`, `refused why`, `banner text`, `asked name/instruction/prompts`.
    private(set) var events: [String] = []

    init(_ credentials: [Credential] = [], answers: [[String]?] = [], user: String = "alice") {
        self.credentials = credentials
        self.answers = answers
        userName = user
    }

    func takeEvents() -> [String] {
        defer { events = [] }
        return events
    }

    func knownHostKeyAlgorithms() -> [String] { [] }
    func verify(hostKey key: [UInt8]) throws(SSHError) {}

    func nextCredential(methods: [String], partialSuccess: Bool) throws(SSHError) -> Credential? {
        events.append("next \(methods.joined(separator: ","))\(partialSuccess ? " partial" : "")")
        return credentials.isEmpty ? nil : credentials.removeFirst()
    }

    func refused(reason: String?) { events.append("refused \(reason ?? "-")") }

    func answer(_ challenge: Challenge) throws(SSHError) -> [Secret]? {
        let prompts = challenge.prompts.map { "\($0.text)\($0.echo ? "+" : "")" }
        events.append(
            (["asked \(challenge.name)", "\(challenge.instruction)"] + prompts).joined(separator: "/"))
        return answers.removeFirst().map { words in words.map { secret(Array($0.utf8)) } }
    }

    func show(banner: PeerText) { events.append("banner \(banner)") }
}

extension Script {
    // MARK: User authentication, as a server says it

    static func failure(_ methods: String, partial: Bool = false) -> [UInt8] {
        [51] + string(methods) + [partial ? 1 : 0]
    }
    static let success: [UInt8] = [52]
    static func banner(_ text: [UInt8]) -> [UInt8] { [53] + string(text) + string("") }
    static func publicKeyOK(_ algorithm: String, _ key: [UInt8]) -> [UInt8] { [60] + string(algorithm) + string(key) }
    static func passwordChange(_ prompt: String) -> [UInt8] { [60] + string(prompt) + string("") }
    static func infoRequest(_ name: String, _ instruction: String, _ prompts: [(String, Bool)]) -> [UInt8] {
        [60] + string(name) + string(instruction) + string("") + u32(prompts.count)
            + prompts.flatMap { string($0.0) + [$0.1 ? 1 : 0] }
    }

    // MARK: As a client says it

    static func authRequest(_ method: String, _ fields: [UInt8] = [], user: String = "alice") -> [UInt8] {
        [50] + string(user) + string("ssh-connection") + string(method) + fields
    }
    static func probe(_ algorithm: String, _ key: [UInt8]) -> [UInt8] {
        authRequest("publickey", [0] + string(algorithm) + string(key))
    }
    /// Up to the signature.
    static func signed(_ algorithm: String, _ key: [UInt8]) -> [UInt8] {
        authRequest("publickey", [1] + string(algorithm) + string(key))
    }
    static func password(_ password: String) -> [UInt8] { authRequest("password", [0] + string(password)) }
    static let interactive = authRequest("keyboard-interactive", string("") + string(""))
    static func infoResponse(_ answers: [String]) -> [UInt8] {
        [61] + u32(answers.count) + answers.flatMap { string($0) }
    }
}

/// A client in a login, and what it said last.
final class LoginBench {
    static let sessionID = [UInt8](repeating: 0x5e, count: 32)
    static let hostKey: [UInt8] = Array("the server's host key".utf8)

    var client: UserAuthClient
    let authority: ScriptedAuthority
    private(set) var isLoggedIn = false

    init(
        _ authority: ScriptedAuthority, accepted: [String] = SignatureAlgorithm.all, server: [String]? = nil
    ) {
        client = UserAuthClient(sessionID: Self.sessionID, hostKey: Self.hostKey, acceptedAlgorithms: accepted)
        client.serverSignatureAlgorithms = server
        self.authority = authority
    }

    func begin() throws -> [UInt8] {
        try client.begin(authority).withBytes { Array($0) }
    }

    /// The client hears this; what it says to it, nil for nothing.
    @discardableResult
    func hear(_ message: [UInt8]) throws -> [UInt8]? {
        // A copy of exactly this length: a read past it is seen by the address sanitizer.
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: message.count, alignment: 1)
        defer { memory.deallocate() }
        memory.copyBytes(from: message)
        switch try client.handle(UnsafeRawBufferPointer(memory), authority) {
        case .send(let message): return message.withBytes { Array($0) }
        case .wait: return nil
        case .loggedIn:
            isLoggedIn = true
            return nil
        }
    }

    /// A client whose "none" was refused with these methods, and what it said to that.
    static func afterNone(
        _ authority: ScriptedAuthority, methods: String = "publickey,password,keyboard-interactive",
        accepted: [String] = SignatureAlgorithm.all, server: [String]? = nil
    ) throws -> (LoginBench, [UInt8]?) {
        let bench = LoginBench(authority, accepted: accepted, server: server)
        _ = try bench.begin()
        return (bench, try bench.hear(Script.failure(methods)))
    }
}
