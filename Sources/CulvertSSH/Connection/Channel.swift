/// One channel as the engine keeps it: plain fields, in the table's memory. Texts are kept elsewhere.
struct Channel: BitwiseCopyable {
    enum Phase: UInt8, BitwiseCopyable {
        /// Not in use: the number may be given out.
        case free
        /// We sent CHANNEL_OPEN.
        case opening
        /// The peer sent CHANNEL_OPEN, we have not answered.
        case requested
        /// Confirmed, until both CLOSEs are seen. How far each direction has come is in the four flags.
        case open
    }

    var phase = Phase.free
    var sentEOF = false
    var sentClose = false
    var receivedEOF = false
    var receivedClose = false
    /// `close` was called before the peer had answered our CHANNEL_OPEN: CLOSE follows the confirmation at once.
    var closesWhenOpened = false
    /// A "session" (RFC 4254 §6.1) for a command that nobody waits for: it is asked for before that CLOSE.
    var runsCommand = false
    /// Stands in the list of channels that owe the peer a WINDOW_ADJUST; survives the freeing of the number.
    var isOwing = false
    /// The number that the peer gave it.
    var peerNumber: UInt32 = 0
    var sendWindow = SendWindow(available: 0, maximumPacket: 0)
    var receiveWindow = ReceiveWindow(size: 0)
    /// Next in the list of free numbers.
    var nextFree: UInt32 = 0
    /// Next in the list of owing channels.
    var nextOwing: UInt32 = 0

    /// Payload may be sent: open, and neither ended nor closed by either side. After CLOSE nothing more is sent on a
    /// channel, in whichever direction it went.
    var takesPayload: Bool { phase == .open && !sentEOF && !sentClose && !receivedClose }

    /// Payload that comes is for nobody: it is behind the peer's EOF, or crossed our CLOSE.
    var dropsPayload: Bool { receivedEOF || sentClose }

    /// Credit and answers may be sent.
    var takesMessages: Bool { phase == .open && !sentClose && !receivedClose }
}
