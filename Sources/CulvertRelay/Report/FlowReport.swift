public import CulvertIO
internal import CulvertSSH

/// One connection that goes through a link, at one moment.
public struct FlowReport: Equatable, Sendable {
    /// What it waits for, if for anything.
    public enum State: UInt8, Sendable, CaseIterable {
        /// The server's answer to the request for its channel.
        case opening
        /// Its client's word where it is to go (SOCKS, at the server).
        case greeting
        /// Its target, which is looked up or dialled.
        case dialling
        /// It is open, and waits for neither reader.
        case open
        /// The far reader: the channel's window is used up.
        case farReader
        /// The reader here: its socket is full.
        case localReader
        /// It is over, and not freed yet.
        case ended
    }

    /// nil: it carries the link to the next host of a path.
    let forward: ForwardID?
    /// Whoever connected: an address and a port, or the path of a Unix socket.
    public let peer: String
    /// What it asked for, where that is its client's choice.
    public let target: String?
    public let age: Tick.Span
    /// Payload, in either direction.
    public let sent: UInt64
    public let received: UInt64
    /// Payload that its reader here has not taken.
    public let held: Int
    public let state: State
}

extension FlowReport: Portable {
    func write(to out: inout WireBytes) {
        out.put(forward, peer, target, age, sent, received, held, state.rawValue)
    }

    init(from reader: inout WireReader) throws(SSHError) {
        forward = try reader.take()
        peer = try reader.take()
        target = try reader.take()
        age = try reader.take()
        sent = try reader.take()
        received = try reader.take()
        held = try reader.take()
        guard let state = State(rawValue: try reader.byte()) else { throw .unreadable }
        self.state = state
    }
}

extension ForwardID: Portable {
    func write(to out: inout WireBytes) {
        switch self {
        case .direct(let id): out.put(UInt8(0), id)
        case .reverse(let id): out.put(UInt8(1), id)
        }
    }

    init(from reader: inout WireReader) throws(SSHError) {
        switch try reader.byte() {
        case 0: self = .direct(try reader.take())
        case 1: self = .reverse(try reader.take())
        default: throw .unreadable
        }
    }
}
