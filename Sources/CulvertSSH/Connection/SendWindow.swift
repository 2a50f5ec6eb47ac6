/// What the peer lets us send on one channel (RFC 4254 §5.2).
struct SendWindow: BitwiseCopyable {
    /// Packets below this are refused: a peer that offers them would make us spend more on headers than on payload,
    /// and one that offers 0 would never take a byte.
    static let minimumPacket: UInt32 = 256

    /// Bytes that may be sent now.
    private(set) var available: UInt32
    /// Payload of a full packet on this channel, bytes.
    let packet: Int

    init(available: UInt32, maximumPacket: UInt32) {
        self.available = available
        packet = min(OutputBlock.maximumPayload, Int(maximumPacket))
    }

    mutating func spend(_ count: Int) {
        precondition(count >= 0 && count <= Int(available), "no more is sent than the peer's window allows")
        available -= UInt32(truncatingIfNeeded: count)
    }

    enum Grant: BitwiseCopyable {
        case added
        /// The window had been used up.
        case reopened
        /// A sum above 2^32-1 is the peer's fault (RFC 4254 §5.2) and must not wrap.
        case tooMuch
    }

    /// SSH_MSG_CHANNEL_WINDOW_ADJUST.
    mutating func add(_ count: UInt32) -> Grant {
        let (sum, overflow) = available.addingReportingOverflow(count)
        guard !overflow else { return .tooMuch }
        let wasUsedUp = available == 0 && count > 0
        available = sum
        return wasUsedUp ? .reopened : .added
    }
}
