/// SSH_MSG_CHANNEL_OPEN_CONFIRMATION (RFC 4254 §5.1). What a channel type may add after the fields is not read.
struct ChannelOpenConfirmation {
    let recipient: UInt32
    let sender: UInt32
    let window: UInt32
    let maximumPacket: UInt32

    init(_ reader: consuming WireReader) throws(SSHError) {
        recipient = try reader.uint32()
        sender = try reader.uint32()
        window = try reader.uint32()
        maximumPacket = try reader.uint32()
    }

    init(recipient: UInt32, sender: UInt32, window: UInt32, maximumPacket: UInt32) {
        self.recipient = recipient
        self.sender = sender
        self.window = window
        self.maximumPacket = maximumPacket
    }

    func write(to writer: inout WireWriter) {
        writer.byte(MessageNumber.channelOpenConfirmation)
        writer.uint32(recipient)
        writer.uint32(sender)
        writer.uint32(window)
        writer.uint32(maximumPacket)
    }
}

/// SSH_MSG_CHANNEL_OPEN_FAILURE (RFC 4254 §5.1). The language tag and what follows are not read: not every peer sends it.
struct ChannelOpenFailure {
    let recipient: UInt32
    /// An unknown reason counts as "administratively prohibited": all four mean that there is no channel.
    let reason: OpenFailure
    let words: PeerText

    init(_ reader: consuming WireReader) throws(SSHError) {
        recipient = try reader.uint32()
        reason = OpenFailure(rawValue: try reader.uint32()) ?? .administrativelyProhibited
        words = unsafe PeerText(try reader.string())
    }

    static func write(recipient: UInt32, reason: OpenFailure, words: String, to writer: inout WireWriter) {
        writer.byte(MessageNumber.channelOpenFailure)
        writer.uint32(recipient)
        writer.uint32(reason.rawValue)
        writer.string(words)
        writer.string("" as StaticString)
    }
}

/// SSH_MSG_CHANNEL_WINDOW_ADJUST (RFC 4254 §5.2).
struct ChannelWindowAdjust {
    let recipient: UInt32
    let count: UInt32

    init(_ reader: consuming WireReader) throws(SSHError) {
        recipient = try reader.uint32()
        count = try reader.uint32()
        try reader.end()
    }

    static func write(recipient: UInt32, count: UInt32, to writer: inout WireWriter) {
        writer.byte(MessageNumber.channelWindowAdjust)
        writer.uint32(recipient)
        writer.uint32(count)
    }
}

/// SSH_MSG_CHANNEL_DATA (RFC 4254 §5.2): the payload is a range of the packet's own memory.
struct ChannelData {
    /// Message number, recipient, length: what stands before the payload, bytes.
    static let headerLength = 9

    let recipient: UInt32
    let payload: Payload

    init(_ reader: consuming WireReader) throws(SSHError) {
        recipient = try reader.uint32()
        let bytes = unsafe try reader.string()
        try reader.end()
        // `string` never gives a buffer without a base: it points into the packet, even when it is empty.
        payload = unsafe Payload(start: bytes.baseAddress!, count: bytes.count)
    }

    /// Whether a message has payload, of either kind, so that its number is bounded by the window that it spends; one
    /// that is malformed ends the link all the same.
    static func spendsWindow(_ packet: OpenedPacket) -> Bool {
        switch packet.number {
        case MessageNumber.channelData: packet.count > headerLength
        case MessageNumber.channelExtendedData: packet.count > ChannelExtendedData.headerLength
        default: false
        }
    }

    static func writeHeader(recipient: UInt32, count: Int, at message: UnsafeMutableRawPointer) {
        unsafe message.storeBytes(of: MessageNumber.channelData, as: UInt8.self)
        unsafe message.storeBytes(of: recipient.bigEndian, toByteOffset: 1, as: UInt32.self)
        unsafe message.storeBytes(of: UInt32(truncatingIfNeeded: count).bigEndian, toByteOffset: 5, as: UInt32.self)
    }
}

/// SSH_MSG_CHANNEL_EXTENDED_DATA (RFC 4254 §5.2): no channel of ours has a use for it, only its length counts.
struct ChannelExtendedData {
    /// Message number, recipient, type, length, bytes.
    static let headerLength = 13

    let recipient: UInt32
    let count: Int

    init(_ reader: consuming WireReader) throws(SSHError) {
        recipient = try reader.uint32()
        _ = try reader.uint32()
        count = unsafe try reader.string().count
        try reader.end()
    }
}

/// SSH_MSG_CHANNEL_REQUEST (RFC 4254 §5.4). The type and what it adds are not read: none is known for a tunnel.
struct ChannelRequest {
    let recipient: UInt32
    let wantsReply: Bool

    init(_ reader: consuming WireReader) throws(SSHError) {
        recipient = try reader.uint32()
        _ = unsafe try reader.string()
        wantsReply = try reader.boolean()
    }

    /// "exec" (RFC 4254 §6.5), without an answer.
    static func writeExec(_ command: StaticString, recipient: UInt32, to writer: inout WireWriter) {
        writer.byte(MessageNumber.channelRequest)
        writer.uint32(recipient)
        writer.string(ProtocolName.exec)
        writer.boolean(true)
        writer.string(command)
    }
}

/// The messages that carry a channel number and nothing else: EOF, CLOSE (RFC 4254 §5.3), SUCCESS, FAILURE (§5.4).
struct ChannelSignal {
    let recipient: UInt32

    init(_ reader: consuming WireReader) throws(SSHError) {
        recipient = try reader.uint32()
        try reader.end()
    }

    static func write(_ number: UInt8, recipient: UInt32, to writer: inout WireWriter) {
        writer.byte(number)
        writer.uint32(recipient)
    }
}
