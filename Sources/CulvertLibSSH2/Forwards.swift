internal import CLibSSH2
public import CulvertSSH

/// One "tcpip-forward" (RFC 4254 §7.1), from the asking to the end of its cancelling. Its place in the table is its
/// number for ever: a link asks for few.
@safe struct Forward {
    enum Phase {
        /// In the queue; libssh2 asks one at a time, and the answers bear no name.
        case asking
        case listening
        case cancelling
        case gone
    }

    let address: String
    /// Asked for; then the one that the peer listens on.
    var port: UInt16
    var phase = Phase.asking
    var started = false
    /// The caller has cancelled it before the answer came.
    var abandoned = false
    var listener: OpaquePointer?
}

extension LibSSH2Engine {
    /// Opens that libssh2 confirms and holds for us between two turns; above it, it refuses them. They are taken at
    /// every turn, so this bounds what one lent block of input can hold.
    private static let acceptQueue: Int32 = 4096

    public mutating func requestForward(_ request: ForwardRequest) throws(SSHError) -> ForwardNumber {
        if let failure { throw failure }
        precondition(login.isDone, "a forward can be asked for only after the login")
        guard case .tcp(let address, let port) = request else {
            throw SSHError(
                .unsupported, "libssh2 cannot forward a Unix socket of the server: use --engine native, or a port")
        }
        guard strayAnswers == 0 else {
            throw SSHError(
                .unsupported, "libssh2 can no longer tell which request an answer belongs to: a new login is needed")
        }
        guard !address.utf8.contains(0) else { throw SSHError(.local, "a bind address with a NUL byte") }
        unsafe forwards.append(Forward(address: address, port: port))
        forwardQueue.append(forwards.count - 1)
        try pump()
        return ForwardNumber(UInt32(forwards.count - 1))
    }

    public mutating func cancelForward(_ forward: ForwardNumber) {
        let index = Int(forward.value)
        switch forwards[index].phase {
        case .asking:
            forwards[index].abandoned = true
            if !forwards[index].started {
                forwardQueue.removeAll { $0 == index }
                forwards[index].phase = .gone
            }
            events.drop(forward)
        case .listening:
            forwards[index].phase = .cancelling
            events.drop(forward)
            pumpOrKeepError()
        case .cancelling, .gone:
            break
        }
    }

    mutating func pumpForwards() throws(SSHError) {
        while let index = forwardQueue.first {
            guard try asksNoMore(index) else { break }
            forwardQueue.removeFirst()
        }
        for index in forwards.indices where forwards[index].phase == .cancelling {
            guard let listener = unsafe forwards[index].listener else { continue }
            // Connections that libssh2 has confirmed and we have not seen are closed by this.
            let result = unsafe libssh2_channel_forward_cancel(listener)
            if result == LIBSSH2_ERROR_EAGAIN { continue }
            unsafe forwards[index].listener = nil
            forwards[index].phase = .gone
            guard result == 0 else { throw end(error(result)) }
        }
    }

    /// Asks, or goes on asking; true when the answer has come.
    private mutating func asksNoMore(_ index: Int) throws(SSHError) -> Bool {
        forwards[index].started = true
        var bound: Int32 = 0
        // Named always: libssh2 makes "0.0.0.0" of a missing address.
        let listener = unsafe libssh2_channel_forward_listen_ex(
            session, forwards[index].address, Int32(forwards[index].port), &bound, Self.acceptQueue)
        let number = ForwardNumber(UInt32(index))
        if let listener = unsafe listener {
            unsafe forwards[index].listener = listener
            guard let port = UInt16(exactly: bound), port > 0 else {
                throw end(
                    SSHError(
                        .protocolViolation, "the server broke the protocol: it says that it listens on port \(bound)"))
            }
            forwards[index].port = port
            forwards[index].phase = forwards[index].abandoned ? .cancelling : .listening
            if !forwards[index].abandoned {
                events.append(.forwardAnswered(number, accepted: true, port: forwards[index].port))
            }
            return true
        }
        let code = unsafe libssh2_session_last_errno(session)
        switch code {
        case LIBSSH2_ERROR_EAGAIN:
            return false
        case LIBSSH2_ERROR_TIMEOUT:
            // The answer may still come, and would be taken for the next one's.
            strayAnswers += 1
        case LIBSSH2_ERROR_REQUEST_DENIED:
            break
        default:
            throw end(error(code))
        }
        forwards[index].phase = .gone
        if !forwards[index].abandoned { events.append(.forwardAnswered(number, accepted: false, port: 0)) }
        return true
    }

    /// Takes the connections that came for our forwards.
    mutating func acceptForwarded() throws(SSHError) {
        for index in forwards.indices where forwards[index].phase == .listening {
            guard let listener = unsafe forwards[index].listener else { continue }
            while let handle = unsafe libssh2_channel_forward_accept(listener) {
                let channel = takeNumber(.requested)
                unsafe channels[channel.index].handle = handle
                channels[channel.index].forward = index
                unsafe discardExtendedData(handle)
                events.append(.openRequested(channel))
            }
            let code = unsafe libssh2_session_last_errno(session)
            guard code == LIBSSH2_ERROR_EAGAIN else { throw end(error(code)) }
        }
    }
}
