internal import CulvertIO
internal import CulvertPlan
internal import CulvertSSH

/// A login in a child: asks its parent for the way to the server, and as `LoginAuthority` for everything that has to do with
/// who we are and whom we trust.
final class LoginAsker: @unchecked Sendable {
    // Unchecked: it is used by its login's thread alone.
    /// nil after the last word.
    private var reader: ProcessLineReader?

    /// Takes the line's end over.
    init(_ descriptor: Descriptor) { reader = ProcessLineReader(ProcessLine(adopting: descriptor)) }

    /// The answer, and its descriptors. Throws what the parent throws.
    func ask(_ question: LoginQuestion) throws(SSHError) -> (answer: LoginAnswer, descriptors: [Descriptor]) {
        guard let line = reader?.line, line.send(ProcessLine.Message(question.message)), var message = reader?.wait()
        else {
            throw SSHError(.local, "the process that asked for the login has gone")
        }
        defer { message.bytes.wipe() }
        let answer = try LoginAnswer(message: message.bytes)
        if case .failed(let error) = answer { throw error }
        return (answer, message.descriptors)
    }

    /// What the login came to.
    func tell(_ end: LoginQuestion) {
        reader?.line.send(ProcessLine.Message(end.message))
        reader = nil
    }

    /// The parent dials, or starts the ProxyCommand, which is its own; here the path stands for it.
    func open(hop: Int?, _ path: LinkPath?, program: @autoclosure () -> any PathProgram) throws(SSHError)
        -> BlockingSocket
    {
        guard let first = try ask(.open(hop: hop)).descriptors.first else {
            throw SSHError(.local, "every descriptor is in use")
        }
        path?.carry(over: program())
        return BlockingSocket(adopting: first)
    }
}

/// The parent's authority, seen from a child. No private key and no secret that is remembered is ever here.
final class AskingAuthority: LoginAuthority {
    private let asker: LoginAsker
    let userName: String

    /// Of a hop, or of the destination (nil).
    init(_ asker: LoginAsker, hop: Int?) {
        self.asker = asker
        if case .text(let name)? = try? asker.ask(.authority(hop: hop)).answer {
            userName = name
        } else {
            userName = ""
        }
    }

    private func texts(_ question: LoginQuestion) -> [String] {
        if case .texts(let texts)? = try? asker.ask(question).answer { texts } else { [] }
    }

    var attempted: [String] { texts(.attempted) }
    var untried: [String] { texts(.untried) }
    var accepted: [String] { texts(.accepted) }
    func knownHostKeyAlgorithms() -> [String] { texts(.knownHostKeyAlgorithms) }

    func verify(hostKey key: [UInt8]) throws(SSHError) {
        guard case .done = try asker.ask(.verify(hostKey: key)).answer else { throw .unreadable }
    }

    func bindAgent(hostKey: [UInt8], sessionID: [UInt8], signature: [UInt8]) -> Bool {
        let question = LoginQuestion.bindAgent(hostKey: hostKey, sessionID: sessionID, signature: signature)
        if case .yes? = try? asker.ask(question).answer { return true }
        return false
    }

    func nextCredential(methods: [String], partialSuccess: Bool) throws(SSHError) -> Credential? {
        switch try asker.ask(.nextCredential(methods: methods, partialSuccess: partialSuccess)).answer {
        case .done: return nil
        case .password(let password): return .password(password)
        case .keyboardInteractive: return .keyboardInteractive
        case .signer(let name, let publicKey):
            let asker = asker
            return unsafe .signer(name: name, publicKey: publicKey) { data throws(SSHError) in
                guard case .bytes(let signature) = try asker.ask(.sign(unsafe Array(data))).answer else {
                    throw .unreadable
                }
                return signature
            }
        case .failed, .yes, .text, .texts, .bytes, .ending, .secrets: throw .unreadable
        }
    }

    func refused(reason: String?) { _ = try? asker.ask(.refused(reason: reason)) }

    func answer(_ challenge: Challenge) throws(SSHError) -> [Secret]? {
        switch try asker.ask(.answer(challenge)).answer {
        case .done: return nil
        case .secrets(let secrets) where secrets.count == challenge.prompts.count: return secrets
        default: throw .unreadable
        }
    }

    func show(banner: PeerText) { _ = try? asker.ask(.show(banner: banner)) }
}

/// The parent's ProxyCommand, seen from a child. The parent hears when no link runs over it any more.
final class ParentsProgram: PathProgram {
    private let line: ProcessLine
    private let id: LinkID
    private let asker: LoginAsker

    init(_ line: ProcessLine, _ id: LinkID, _ asker: LoginAsker) {
        self.line = line
        self.id = id
        self.asker = asker
    }

    deinit { line.tell(.pathEnded(id)) }

    /// Only a login waits, on its thread. Whoever waits for nothing is told nothing: the parent knows better, and says so.
    func ending(by deadline: Tick) -> ProxyProcess.Ending? {
        let patience = deadline - Tick.current()
        guard deadline > Tick.current(),
            case .ending(let ending)? = try? asker.ask(.programEnding(within: patience)).answer
        else { return nil }
        return ending
    }
}
