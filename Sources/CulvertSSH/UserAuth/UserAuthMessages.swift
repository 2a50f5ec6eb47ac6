/// The message numbers of user authentication (RFC 4252 §6, RFC 4256 §5). 60 to 79 mean what the method makes of them.
enum UserAuthNumber {
    static let request: UInt8 = 50
    static let failure: UInt8 = 51
    static let success: UInt8 = 52
    static let banner: UInt8 = 53
    /// "publickey", RFC 4252 §7.
    static let publicKeyOK: UInt8 = 60
    /// "password", RFC 4252 §8.
    static let passwordChangeRequest: UInt8 = 60
    /// "keyboard-interactive", RFC 4256 §3.2.
    static let infoRequest: UInt8 = 60
    /// RFC 4256 §3.4.
    static let infoResponse: UInt8 = 61
}

/// SSH_MSG_USERAUTH_FAILURE (RFC 4252 §5.1).
struct UserAuthFailure {
    /// Bytes of the list of methods: some fifty names; a longer list is no list of methods.
    static let maximumList = 1024

    /// What can continue. Names that are none (RFC 4251 §6: printable ASCII, at most 64 characters) are left out.
    let methods: [String]
    let partialSuccess: Bool

    init(_ reader: consuming WireReader) throws(SSHError) {
        let list = unsafe try reader.string()
        guard list.count <= Self.maximumList else {
            throw .malformed("SSH_MSG_USERAUTH_FAILURE", "its list of methods has \(list.count) bytes")
        }
        methods = unsafe list.split(separator: UInt8(ascii: ",")).compactMap { name in
            guard name.count <= 64, name.allSatisfy({ $0 > 32 && $0 < 127 }) else { return nil }
            return String(decoding: name, as: UTF8.self)
        }
        partialSuccess = try reader.boolean()
        try reader.end()
    }
}

/// SSH_MSG_USERAUTH_BANNER (RFC 4252 §5.4), line by line, each safe to show.
struct UserAuthBanner {
    let lines: [PeerText]

    init(_ reader: consuming WireReader) throws(SSHError) {
        let text = unsafe try reader.string()
        _ = unsafe try reader.string()
        try reader.end()
        lines = unsafe PeerLines(text).lines
    }
}

/// SSH_MSG_USERAUTH_PK_OK (RFC 4252 §7): the server would take a signature of this key with this algorithm.
struct UserAuthPublicKeyOK {
    let algorithm: [UInt8]
    let key: [UInt8]

    init(_ reader: consuming WireReader) throws(SSHError) {
        algorithm = unsafe Array(try reader.string())
        key = unsafe Array(try reader.string())
        try reader.end()
    }
}

/// SSH_MSG_USERAUTH_PASSWD_CHANGEREQ (RFC 4252 §8).
struct UserAuthPasswordChangeRequest {
    let prompt: PeerText

    init(_ reader: consuming WireReader) throws(SSHError) {
        prompt = unsafe PeerText(try reader.string())
        _ = unsafe try reader.string()
        try reader.end()
    }
}

/// SSH_MSG_USERAUTH_INFO_REQUEST (RFC 4256 §3.2).
struct UserAuthInfoRequest {
    /// Questions in one round. Servers ask one or two; nobody answers more at one time.
    static let maximumPrompts = 32

    let challenge: Challenge

    init(_ reader: consuming WireReader) throws(SSHError) {
        let name = unsafe PeerText(try reader.string())
        let instruction = unsafe PeerLines(try reader.string())
        _ = unsafe try reader.string()
        let count = try reader.uint32()
        guard count <= Self.maximumPrompts else {
            throw .malformed("SSH_MSG_USERAUTH_INFO_REQUEST", "it claims \(count) questions")
        }
        var prompts: [Challenge.Prompt] = []
        for _ in 0..<count {
            let text = unsafe PeerLines(try reader.string())
            prompts.append(Challenge.Prompt(text: text, echo: try reader.boolean()))
        }
        try reader.end()
        challenge = Challenge(name: name, instruction: instruction, prompts: prompts)
    }
}
