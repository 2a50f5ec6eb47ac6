internal import CulvertSSH
internal import Glibc

/// One connection to an ssh-agent, requests and answers in turn. Every call blocks, up to its deadline; after a throw
/// the connection is of no more use.
final class AgentConnection {
    /// Seconds. The list may wait for somebody to unlock the agent; a signature for a touch or a question (`ssh-add -c`), as
    /// long as sshd waits for a login (LoginGraceTime).
    struct Limits: Sendable {
        var list = 60
        var sign = 120
        /// After so many of silence the user is told what is waited for.
        var silence = 3
    }

    private let descriptor: CInt
    private let path: String
    private let limits: Limits
    private let notice: (String) -> Void
    /// Of the request that is waited for; nil: it was told.
    private var silence: Deadline?

    /// - Parameter notice: takes a line for the user, while an agent does not answer.
    init(path: String, limits: Limits = Limits(), notice: @escaping (String) -> Void = { _ in }) throws(SSHError) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path), !bytes.contains(0) else {
            throw SSHError(.local, "agent \(PeerText(path)): the path is too long for a Unix socket")
        }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
        descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        self.path = path
        self.limits = limits
        self.notice = notice
        guard descriptor >= 0 else { throw failure(words(for: errno)) }
        let deadline = Deadline(seconds: limits.list)
        while true {
            let result = unsafe withUnsafePointer(to: &address) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
            if result == 0 { return }
            // A Unix socket whose queue is full cannot be waited for: try again until the deadline.
            guard errno == EAGAIN || errno == EINTR, !deadline.isOver else { throw failure(words(for: errno)) }
            usleep(10_000)
        }
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    func identities() throws(SSHError) -> [AgentKey] {
        let answer = try exchange([AgentMessages.requestIdentities], within: limits.list)
        guard let keys = AgentMessages.identities(answer) else {
            throw failure("answered the question for its keys with something else")
        }
        return keys
    }

    /// The signature blob over a login's data, of the algorithm that the data names. `shown`: what the data is to show in
    /// place of the key, a certificate of it.
    func sign(_ data: [UInt8], with key: PublicKey, shown: [UInt8]? = nil) throws(SSHError) -> [UInt8] {
        guard let algorithm = LoginData.algorithm(in: data, key: shown ?? key.blob) else {
            throw failure("asked to sign what is not a login's data (RFC 4252 §7)")
        }
        // A certificate's algorithm is named after it, its signature after the key inside (PROTOCOL.certkeys).
        let wanted = SignatureAlgorithm.signatureName(algorithm)
        let flags: UInt32 =
            switch wanted {
            case "rsa-sha2-256": AgentMessages.rsaSHA256
            case "rsa-sha2-512": AgentMessages.rsaSHA512
            default: 0
            }
        let request = AgentMessages.sign(key, data: data, flags: flags)
        let answer = try exchange(request, within: limits.sign)
        if answer.first == AgentMessages.failure { throw failure("refused to sign") }
        switch AgentMessages.signature(answer, algorithm: wanted) {
        case .blob(let blob): return blob
        case .otherAlgorithm(let name): throw failure("signed with \(PeerText(name)) instead of \(wanted)")
        case .malformed: throw failure("answered the request for a signature with something else")
        }
    }

    /// false: the agent does not know the extension, or the signature over the session id is not the host key's.
    func bind(hostKey: [UInt8], sessionID: [UInt8], signature: [UInt8], forwarding: Bool) throws(SSHError) -> Bool {
        let request = AgentMessages.bind(
            hostKey: hostKey, sessionID: sessionID, signature: signature, forwarding: forwarding)
        return try exchange(request, within: limits.list).first == AgentMessages.success
    }

    private func failure(_ why: String) -> SSHError {
        SSHError(.local, "agent \(PeerText(path)): \(why)")
    }

    private func exchange(_ payload: [UInt8], within seconds: Int) throws(SSHError) -> [UInt8] {
        guard payload.count <= AgentMessages.maximumLength else {
            throw failure("the request is longer than an agent takes")
        }
        let deadline = Deadline(seconds: seconds)
        silence = Deadline(seconds: limits.silence)
        var frame = WireBytes()
        frame.string(payload)
        try send(frame.bytes, deadline)
        let header = try receive(4, deadline)
        let length = try? header.read("a frame of the agent's") { reader throws(SSHError) in try reader.uint32() }
        guard let length, length > 0, length <= AgentMessages.maximumLength else {
            throw failure("sent a frame of an impossible length")
        }
        return try receive(Int(length), deadline)
    }

    private func send(_ bytes: [UInt8], _ deadline: Deadline) throws(SSHError) {
        var sent = 0
        while sent < bytes.count {
            let count = unsafe bytes.withUnsafeBytes { buffer in
                unsafe Glibc.send(
                    descriptor, buffer.baseAddress! + sent, buffer.count - sent, CInt(MSG_NOSIGNAL))
            }
            if count >= 0 { sent += count } else { try waitAfterFailure(for: POLLOUT, deadline) }
        }
    }

    private func receive(_ count: Int, _ deadline: Deadline) throws(SSHError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var filled = 0
        while filled < count {
            let received = unsafe bytes.withUnsafeMutableBytes { buffer in
                unsafe Glibc.recv(descriptor, buffer.baseAddress! + filled, count - filled, 0)
            }
            if received == 0 { throw failure("hung up") }
            if received > 0 { filled += received } else { try waitAfterFailure(for: POLLIN, deadline) }
        }
        return bytes
    }

    private func waitAfterFailure(for events: CInt, _ deadline: Deadline) throws(SSHError) {
        let code = errno
        if code == EINTR { return }
        guard code == EAGAIN else { throw failure(words(for: code)) }
        if let told = silence, told.isBefore(deadline) {
            if told.wait(descriptor, for: events) { return }
            silence = nil
            notice(
                "agent \(PeerText(path)) has not answered for \(limits.silence) s: it may wait for you to unlock it, or to "
                    + "touch a key; culvert waits for \(deadline.milliseconds / 1000) s more")
        }
        guard deadline.wait(descriptor, for: events) else { throw failure("did not answer in time") }
    }
}
