/// Which message may come when, as one table: the state of the key exchange, how far the login is, and the message's
/// number (RFC 4253 §7.1 and §11, RFC 4252 §6, RFC 8308 §2.3, strict key exchange of OpenSSH's PROTOCOL §1.9).
enum MessageGate {
    /// What the peer's key exchange allows.
    enum Exchange: BitwiseCopyable, CaseIterable {
        /// Its first SSH_MSG_KEXINIT has not come.
        case beforeFirst
        /// The first exchange: it sent SSH_MSG_KEXINIT, not yet SSH_MSG_NEWKEYS.
        case first
        /// The same, where both ends keep to strict key exchange.
        case firstStrict
        /// A later exchange.
        case later
        /// Nothing is exchanged, at least by the peer.
        case idle
    }

    /// How far the login is, once keys are there.
    enum Stage: BitwiseCopyable, CaseIterable {
        /// SSH_MSG_SERVICE_REQUEST is awaited, or its answer.
        case service
        case authentication
        case connection
    }

    enum Verdict: BitwiseCopyable {
        /// For the transport: it knows what to do with it, or that it is not its turn.
        case transport
        case authentication
        case connection
        /// It may come and says nothing.
        case ignored
        /// Answered with SSH_MSG_UNIMPLEMENTED (RFC 4253 §11.4).
        case unimplemented
        /// It has no place here: the link ends with code 2.
        case refused
    }

    static func verdict(_ number: UInt8, role: ConnectionRole, exchange: Exchange, stage: Stage) -> Verdict {
        switch exchange {
        case .beforeFirst:
            switch number {
            case MessageNumber.disconnect, MessageNumber.keyExchangeInit: .transport
            // If the peer then wants strict key exchange, its KEXINIT was not first, and that is found there.
            case MessageNumber.ignore, MessageNumber.unimplemented, MessageNumber.debug: .ignored
            default: .refused
            }
        case .first: exchanging(number, takesConnection: false)
        case .later: exchanging(number, takesConnection: stage == .connection)
        case .firstStrict:
            switch number {
            case MessageNumber.disconnect, MessageNumber.newKeys, 30...49: .transport
            default: .refused
            }
        case .idle: idle(number, role, stage)
        }
    }

    /// RFC 4253 §7.1 forbids the connection's messages behind SSH_MSG_KEXINIT. AsyncSSH up to 2.14.2 sends them in every
    /// later exchange, and OpenSSH takes them: they are under the old keys, which are as good as ever. What answers
    /// them waits for our own SSH_MSG_NEWKEYS.
    private static func exchanging(_ number: UInt8, takesConnection: Bool) -> Verdict {
        switch number {
        case MessageNumber.disconnect, MessageNumber.newKeys, 30...49: .transport
        case 80...127 where takesConnection: .connection
        // It may be the answer to a global request.
        case MessageNumber.unimplemented: takesConnection ? .connection : .ignored
        case MessageNumber.ignore, MessageNumber.debug: .ignored
        default: .refused
        }
    }

    private static func idle(_ number: UInt8, _ role: ConnectionRole, _ stage: Stage) -> Verdict {
        switch number {
        case MessageNumber.disconnect, MessageNumber.keyExchangeInit: .transport
        case MessageNumber.ignore, MessageNumber.debug: .ignored
        // It may be the answer to a global request.
        case MessageNumber.unimplemented: stage == .connection ? .connection : .ignored
        case MessageNumber.serviceRequest: role == .server && stage == .service ? .transport : .refused
        case MessageNumber.serviceAccept: role == .client && stage == .service ? .transport : .refused
        // Before the login is over (RFC 8308 §2.4).
        case MessageNumber.extInfo: stage == .connection ? .refused : .transport
        case MessageNumber.newKeys, 30...49: .refused
        case 50...79:
            switch stage {
            case .service: .refused
            case .authentication: .authentication
            // RFC 4252 §5.1: requests behind the one that succeeded are passed over.
            case .connection: role == .server && number == MessageNumber.userAuthRequest ? .ignored : .refused
            }
        case 80...127: stage == .connection ? .connection : .refused
        // Not answered before the login is over: nothing is done for strangers.
        case MessageNumber.ping: stage == .connection ? .transport : .ignored
        case MessageNumber.pong: .ignored
        default: .unimplemented
        }
    }
}
