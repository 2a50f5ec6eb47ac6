public import CulvertIO
internal import CulvertSSH

/// One SSH connection as its worker sees it, at one moment.
public struct LinkReport: Equatable, Sendable {
    /// "link 0", or the name of a jump host.
    public let name: String
    /// Its place in the pool; nil: it leads to a jump host.
    public let place: Int?
    /// A newer link has its place, and no new flows come.
    public let isReplaced: Bool
    /// The server owes an answer, and new flows wait for another link.
    public let isSuspect: Bool
    public let age: Tick.Span
    /// Since something came from the server.
    public let silence: Tick.Span
    /// As the kernel smooths it (tcp_info); nil: it runs over something else than TCP.
    public let roundTrip: Tick.Span?
    /// That are open.
    public let flows: Int
    /// Bytes of SSH, in either direction.
    public let sent: UInt64
    public let received: UInt64
    /// Key exchanges after the first; nil: the engine does not say.
    public let keyRenewals: UInt64?
}

extension LinkReport: Portable {
    func write(to out: inout WireBytes) {
        out.put(name, place, isReplaced, isSuspect, age, silence, roundTrip, flows, sent, received, keyRenewals)
    }

    init(from reader: inout WireReader) throws(SSHError) {
        name = try reader.take()
        place = try reader.take()
        isReplaced = try reader.take()
        isSuspect = try reader.take()
        age = try reader.take()
        silence = try reader.take()
        roundTrip = try reader.take()
        flows = try reader.take()
        sent = try reader.take()
        received = try reader.take()
        keyRenewals = try reader.take()
    }
}
