internal import CulvertIO
internal import CulvertSSH

/// What became of a forward's connections so far. Each is counted once: when it stands, or when nothing comes of it.
public struct ForwardTally: Equatable, Sendable {
    /// Both of whose ends stood.
    public internal(set) var opened: UInt64 = 0
    /// Whose channel or target could not be had.
    public internal(set) var refused: UInt64 = 0
    /// That found no link in time, or whose client went while they waited or said where to go.
    public internal(set) var dropped: UInt64 = 0
    /// Of those that were opened: ended by a reset, since not all of it could be delivered.
    public internal(set) var cut: UInt64 = 0
    /// Payload to the channel, and from it.
    public internal(set) var sent: UInt64 = 0
    public internal(set) var received: UInt64 = 0
    /// How long those that were opened took, from their coming on.
    public internal(set) var opening = OpeningTimes()

    /// What another process says may be anything.
    mutating func add(_ other: ForwardTally) {
        opened &+= other.opened
        refused &+= other.refused
        dropped &+= other.dropped
        cut &+= other.cut
        sent &+= other.sent
        received &+= other.received
        opening.add(other.opening)
    }
}

extension ForwardTally: Portable {
    func write(to out: inout WireBytes) { out.put(opened, refused, dropped, cut, sent, received, opening) }

    init(from reader: inout WireReader) throws(SSHError) {
        opened = try reader.take()
        refused = try reader.take()
        dropped = try reader.take()
        cut = try reader.take()
        sent = try reader.take()
        received = try reader.take()
        opening = try reader.take()
    }
}

/// The tallies of all forwards, by their names. It grows as forwards are first used.
struct ForwardTallies: Equatable, Sendable {
    private(set) var direct: [ForwardTally] = []
    private(set) var reverse: [ForwardTally] = []

    subscript(_ forward: ForwardID) -> ForwardTally {
        get {
            switch forward {
            case .direct(let id): id.index < direct.count ? direct[id.index] : ForwardTally()
            case .reverse(let id): id.index < reverse.count ? reverse[id.index] : ForwardTally()
            }
        }
        _modify {
            switch forward {
            case .direct(let id):
                while direct.count <= id.index { direct.append(ForwardTally()) }
                yield &direct[id.index]
            case .reverse(let id):
                while reverse.count <= id.index { reverse.append(ForwardTally()) }
                yield &reverse[id.index]
            }
        }
    }
}

extension ForwardTallies: Portable {
    func write(to out: inout WireBytes) { out.put(direct, reverse) }

    init(from reader: inout WireReader) throws(SSHError) {
        direct = try reader.take()
        reverse = try reader.take()
    }
}
