public import CulvertConfig
internal import CulvertIO
internal import CulvertSSH
internal import Glibc

/// `culvert -O`: asks something of a master, culvert's or ssh's, and says what ssh would say, in its words.
public struct MuxClient {
    private struct Failure: Error {
        let words: String
    }

    private static let failed: Int32 = 255
    /// An answer that depends on a server may take its time.
    private static let patience = Tick.Span.seconds(60)

    private let request: ControlRequest
    private var isQuiet: Bool { request.output.verbosity <= .quiet }

    public init(_ request: ControlRequest) { self.request = request }

    /// The exit status.
    public func run() -> Int32 {
        do throws(Failure) {
            var line = try connect()
            return try ask(&line)
        } catch {
            if !isQuiet { say(error.words) }
            return Self.failed
        }
    }

    private func connect() throws(Failure) -> MuxLine {
        let path = request.path
        guard let address = SocketAddress(path: path) else {
            throw Failure(words: "ControlPath too long ('\(path)' >= 108 bytes)")
        }
        let deadline =
            Tick.current() + (request.patience.map { .seconds(Double($0.components.seconds)) } ?? Self.patience)
        do throws(IOError) {
            var line = MuxLine(try BlockingSocket.connect(to: address, from: nil, deadline: deadline))
            if case .hello(MuxVersion.number)? = try line.exchange(.hello(version: MuxVersion.number), deadline) {
                return line
            }
        } catch {
            if error.action.description == "connect" {
                throw Failure(words: "Control socket connect(\(PeerText(path))): \(errorText(error.number))")
            }
        }
        throw Failure(words: "muxclient: master hello exchange failed")
    }

    private func ask(_ line: inout MuxLine) throws(Failure) -> Int32 {
        switch request.command {
        case .check:
            guard case .alive(_, let process) = try exchange(.aliveCheck(0), &line) else {
                throw Failure(words: "muxclient: master alive check failed")
            }
            say("Master running (pid=\(process))")
        case .exit:
            // One that ends before it answers has ended.
            if let reply = try exchange(.terminate(0), &line) { try check(reply, "termination request") }
            if !isQuiet { say("Exit request sent.") }
        case .stop:
            try check(try exchange(.stopListening(0), &line), "stop listening request")
            if !isQuiet { say("Stop listening request sent.") }
        case .forward:
            guard try askForwards(&line) else { throw Failure(words: "muxclient: master forward request failed") }
        case .cancel:
            // ssh has 0 for it too.
            if !(try askForwards(&line)), !isQuiet { say("muxclient: master cancel forward request failed") }
        }
        return 0
    }

    private func exchange(_ request: MuxRequest, _ line: inout MuxLine) throws(Failure) -> MuxReply? {
        do throws(IOError) { return try line.exchange(request, Tick.current() + Self.patience) } catch {
            throw Failure(words: "the master does not answer: \(errorText(error.number))")
        }
    }

    private func check(_ reply: MuxReply?, _ what: String) throws(Failure) {
        switch reply {
        case .done: return
        case .denied(_, let reason): throw Failure(words: "Master refused \(what): \(reason)")
        case .failed(_, let reason): throw Failure(words: "\(what) failed: \(reason)")
        case nil: throw Failure(words: "\(what) failed: the master has gone")
        case .hello, .alive, .remotePort, .sessionOpened, .other:
            throw Failure(words: "unexpected response from master to the \(what)")
        }
    }

    /// One after the other, the local ones first, as ssh does. Whether all were done.
    private func askForwards(_ line: inout MuxLine) throws(Failure) -> Bool {
        var isDone = true
        let forwards = request.forwards.compactMap(MuxForward.init)
        let cancels = request.command == .cancel
        for (id, forward) in (forwards.filter { $0.kind != .remote } + forwards.filter { $0.kind == .remote })
            .enumerated()
        {
            let id = UInt32(id)
            let reply = try exchange(cancels ? .closeForward(id, forward) : .openForward(id, forward), &line)
            switch reply {
            case .done: continue
            case .remotePort(_, let port) where !cancels: print(port)
            case .denied(_, let reason):
                if !isQuiet { say("Master refused forwarding request: \(reason)") }
                isDone = false
            case .failed(_, let reason):
                if !isQuiet { say("mux_client_forward: forwarding request failed: \(reason)") }
                isDone = false
            case nil: throw Failure(words: "the master has gone")
            case .remotePort, .hello, .alive, .sessionOpened, .other:
                throw Failure(words: "unexpected response from master to a forwarding request")
            }
        }
        return isDone
    }

    /// On standard error, with the line's end that ssh writes there.
    private func say(_ text: String) {
        let bytes = Array((text + "\r\n").utf8)
        _ = unsafe bytes.withUnsafeBytes { unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}

/// A client's end, whose every call waits.
struct MuxLine: ~Copyable {
    private let socket: BlockingSocket
    private var stream = MuxStream()

    init(_ socket: consuming BlockingSocket) { self.socket = socket }

    /// Sends it, and waits for the answer; nil: the other end has gone, or says what nobody understands.
    mutating func exchange(_ request: MuxRequest, _ deadline: Tick) throws(IOError) -> MuxReply? {
        let packet = request.packet
        try unsafe packet.withUnsafeBufferPointer { bytes throws(IOError) in
            try unsafe socket.send(UnsafeRawBufferPointer(bytes), deadline: deadline)
        }
        var room = [UInt8](repeating: 0, count: 4096)
        while true {
            do throws(SSHError) {
                if let message = try stream.take() { return try MuxReply(message) }
            } catch { return nil }
            let count = try unsafe room.withUnsafeMutableBufferPointer { bytes throws(IOError) in
                try unsafe socket.receive(into: UnsafeMutableRawBufferPointer(bytes), deadline: deadline)
            }
            guard count > 0 else { return nil }
            stream.append(Array(room[..<count]))
        }
    }
}
