internal import CulvertIO
internal import CulvertSSH

/// What a child asks its parent during a login, over a line of that login's: each question has one answer. The last word is
/// what the login came to.
enum LoginQuestion: Sendable {
    /// A way to the first server; the answer brings its descriptor. nil: the destination.
    case open(hop: Int?)
    /// How the ProxyCommand ended, nil while it runs; waits for its end for so long.
    case programEnding(within: Tick.Span)

    // As `LoginAuthority` has them: first whose it is, for those that follow.
    case authority(hop: Int?)
    case attempted
    case untried
    case accepted
    case knownHostKeyAlgorithms
    case verify(hostKey: [UInt8])
    case bindAgent(hostKey: [UInt8], sessionID: [UInt8], signature: [UInt8])
    case nextCredential(methods: [String], partialSuccess: Bool)
    case sign([UInt8])
    case refused(reason: String?)
    case answer(Challenge)
    case show(banner: PeerText)

    // The last words. They have no answer.
    case loggedIn(summary: String)
    case failed(SSHError)
}

enum LoginAnswer: Sendable {
    /// What was asked for is done, or there is nothing.
    case done
    case failed(SSHError)
    case yes
    case text(String)
    case texts([String])
    case bytes([UInt8])
    case ending(ProxyProcess.Ending)
    /// A credential. Of a key its holder's name and its public part: it signs where it is.
    case signer(name: String, publicKey: [UInt8])
    case password(Secret)
    case keyboardInteractive
    /// To a challenge.
    case secrets([Secret])
}

extension LoginQuestion: Portable {
    func write(to out: inout WireBytes) {
        switch self {
        case .open(let hop): out.put(UInt8(0), hop)
        case .programEnding(let patience): out.put(UInt8(1), patience)
        case .authority(let hop): out.put(UInt8(2), hop)
        case .attempted: out.put(UInt8(3))
        case .accepted: out.put(UInt8(4))
        case .knownHostKeyAlgorithms: out.put(UInt8(5))
        case .verify(let key): out.put(UInt8(6), key)
        case .bindAgent(let hostKey, let sessionID, let signature): out.put(UInt8(7), hostKey, sessionID, signature)
        case .nextCredential(let methods, let partialSuccess): out.put(UInt8(8), methods, partialSuccess)
        case .sign(let data): out.put(UInt8(9), data)
        case .refused(let reason): out.put(UInt8(10), reason)
        case .answer(let challenge): out.put(UInt8(11), challenge)
        case .show(let banner): out.put(UInt8(12), banner)
        case .loggedIn(let summary): out.put(UInt8(13), summary)
        case .failed(let error): out.put(UInt8(14), error)
        case .untried: out.put(UInt8(15))
        }
    }

    init(from reader: inout WireReader) throws(SSHError) {
        switch try reader.byte() {
        case 0: self = .open(hop: try reader.take())
        case 1: self = .programEnding(within: try reader.take())
        case 2: self = .authority(hop: try reader.take())
        case 3: self = .attempted
        case 4: self = .accepted
        case 5: self = .knownHostKeyAlgorithms
        case 6: self = .verify(hostKey: try reader.take())
        case 7:
            self = .bindAgent(hostKey: try reader.take(), sessionID: try reader.take(), signature: try reader.take())
        case 8: self = .nextCredential(methods: try reader.take(), partialSuccess: try reader.take())
        case 9: self = .sign(try reader.take())
        case 10: self = .refused(reason: try reader.take())
        case 11: self = .answer(try reader.take())
        case 12: self = .show(banner: try reader.take())
        case 13: self = .loggedIn(summary: try reader.take())
        case 14: self = .failed(try reader.take())
        case 15: self = .untried
        default: throw .unreadable
        }
    }
}

extension LoginAnswer: Portable {
    func write(to out: inout WireBytes) {
        switch self {
        case .done: out.put(UInt8(0))
        case .failed(let error): out.put(UInt8(1), error)
        case .yes: out.put(UInt8(2))
        case .text(let text): out.put(UInt8(3), text)
        case .texts(let texts): out.put(UInt8(4), texts)
        case .bytes(let bytes): out.put(UInt8(5), bytes)
        case .ending(let ending): out.put(UInt8(6), ending)
        case .signer(let name, let publicKey): out.put(UInt8(7), name, publicKey)
        case .password(let password): out.put(UInt8(8), password)
        case .keyboardInteractive: out.put(UInt8(9))
        case .secrets(let secrets): out.put(UInt8(10), secrets)
        }
    }

    init(from reader: inout WireReader) throws(SSHError) {
        switch try reader.byte() {
        case 0: self = .done
        case 1: self = .failed(try reader.take())
        case 2: self = .yes
        case 3: self = .text(try reader.take())
        case 4: self = .texts(try reader.take())
        case 5: self = .bytes(try reader.take())
        case 6: self = .ending(try reader.take())
        case 7: self = .signer(name: try reader.take(), publicKey: try reader.take())
        case 8: self = .password(try reader.take())
        case 9: self = .keyboardInteractive
        case 10: self = .secrets(try reader.take())
        default: throw .unreadable
        }
    }

    /// The whole message, in memory that whoever sends it wipes; there is no other copy of a secret in it.
    func secretMessage() -> [UInt8] {
        let secrets: [Secret]
        switch self {
        case .password(let password): secrets = [password]
        case .secrets(let several): secrets = several
        default: secrets = []
        }
        let fields = 16
        var out = WireBytes(capacity: secrets.reduce(fields) { $0 + $1.count + fields })
        write(to: &out)
        return out.take()
    }
}

extension Secret: Portable {
    func write(to out: inout WireBytes) { unsafe withBytes { unsafe out.string($0) } }
    convenience init(from reader: inout WireReader) throws(SSHError) { unsafe self.init(copying: try reader.string()) }
}

extension Challenge: Portable {
    func write(to out: inout WireBytes) { out.put(name, instruction, prompts) }
    init(from reader: inout WireReader) throws(SSHError) {
        self.init(name: try reader.take(), instruction: try reader.take(), prompts: try reader.take())
    }
}

extension Challenge.Prompt: Portable {
    func write(to out: inout WireBytes) { out.put(text, echo) }
    init(from reader: inout WireReader) throws(SSHError) { self.init(text: try reader.take(), echo: try reader.take()) }
}
