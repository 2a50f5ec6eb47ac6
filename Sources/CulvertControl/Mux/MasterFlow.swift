internal import CulvertIO
internal import CulvertSSH

/// One connection that a running master carries for us: a channel of our link on one side, a stream to the master on the
/// other.
///
/// Invariant: what came from the link and has not gone is in `queue`, and is not credited. `isOver` is set once, when the
/// desk forgets it.
final class MasterFlow {
    let channel: ChannelNumber
    let stream: ControlStream
    /// Of those that the link asked for: where it goes.
    let door: MuxForward.End?

    /// The channel is open at both ends.
    var isOpen: Bool
    var isOver = false
    /// The link has said its end.
    var upEnded = false
    /// The master has been told, or takes no more.
    private(set) var upOver = false
    /// The master has said the end; it is believed once the master is known to live after it.
    var downEnded = false
    /// The link has been told.
    var downOver = false
    /// The link wants nothing any more: what it said before is still brought.
    var isClosed = false
    /// The master has closed its end: so the server has the channel's.
    var hasHungUp = false
    /// Bytes that came down, and that went up.
    var came = 0
    private(set) var gone = 0

    private var queue: [UInt8] = []
    private var queueStart = 0

    init(_ channel: ChannelNumber, _ stream: ControlStream, door: MuxForward.End?) {
        self.channel = channel
        self.stream = stream
        self.door = door
        isOpen = door != nil
    }

    var queued: Int { queue.count - queueStart }

    /// Whether it waits for nothing but the master's closing.
    var awaitsHangUp: Bool { upOver && downOver && !hasHungUp }

    /// Nothing is owed by anybody.
    var isDone: Bool { upOver && (isClosed || downOver && hasHungUp) }

    // MARK: Up

    func append(_ payload: Payload) {
        unsafe queue.append(contentsOf: UnsafeRawBufferPointer(start: payload.start, count: payload.count))
    }

    /// Writes what the master takes. Returns how many bytes may be credited.
    func sendUp() -> Int {
        let before = gone
        while queued > 0 {
            do throws(IOError) {
                let sent = try unsafe queue.withUnsafeBufferPointer { bytes throws(IOError) in
                    try unsafe stream.send(UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: bytes[queueStart...])))
                }
                if sent == 0 { break }
                gone += sent
                queueStart += sent
            } catch {
                // Nobody takes it any more.
                let lost = queued
                (queue, queueStart, upOver) = ([], 0, true)
                return gone - before + lost
            }
        }
        if queued == 0 {
            queue.removeAll(keepingCapacity: queue.capacity <= 64 << 10)
            queueStart = 0
            if upEnded, !upOver {
                stream.finish()
                upOver = true
            }
        }
        return gone - before
    }
}
