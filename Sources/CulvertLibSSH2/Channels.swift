internal import CLibSSH2
public import CulvertSSH

/// One channel as this end counts it. libssh2 has numbers of its own, which it never uses twice, so a late packet for
/// a channel that is gone meets no other.
@safe struct Channel {
    enum Phase {
        /// The number is free.
        case free
        /// Asked for, not answered. `abandoned`: the caller has closed it since.
        case opening, abandoned
        /// Refused, and the caller has not been told yet: the number is free when it has.
        case refused
        /// The peer's, not yet accepted by the caller.
        case requested
        case open
        /// Closed by the caller; libssh2 has not yet let go of it.
        case closing
    }

    var phase = Phase.free
    var handle: OpaquePointer?
    /// Payload with the caller, in bytes.
    var uncredited = 0
    /// The turn in which it was found to have nothing to read.
    var emptyTurn: UInt32 = 0
    /// The caller ends its payload; `finished`: EOF is sent.
    var wantsFinish = false
    var finished = false
    /// The peer's EOF and CLOSE, as far as they were told to the caller.
    var ended = false
    var endTold = false
    var closed = false
    /// The peer takes only the smallest packets: the caller is to be told, then the channel is closed.
    var violated = false
    /// Payload that libssh2 took, bytes.
    var sent: UInt64 = 0
    /// `sendable` was 0 because the window was used up.
    var starved = false
    var inControls = false
    /// Which forward brought it; for `requested`.
    var forward = -1

    /// Data may lie in libssh2: its reader is slow, or it is not accepted.
    var isUnread: Bool {
        switch phase {
        case .open: uncredited >= LibSSH2Engine.uncreditedLimit
        case .requested: true
        case .free, .opening, .abandoned, .refused, .closing: false
        }
    }
}

/// An open that waits its turn, or is under way: libssh2 does one at a time. The first of the queue is under way.
@safe struct PendingOpen {
    /// nil: a probe, which the peer must refuse.
    let channel: UInt32?
    let type: StaticString
    /// The type-specific part of SSH_MSG_CHANNEL_OPEN; at one address until the open has ended.
    let message: UnsafeMutableRawPointer?
    let count: Int
    var started = false

    static func probe() -> PendingOpen {
        unsafe PendingOpen(channel: nil, type: "keepalive@culvert.invalid", message: nil, count: 0)
    }

    init(channel: UInt32?, type: StaticString, message: UnsafeMutableRawPointer?, count: Int) {
        self.channel = channel
        self.type = type
        unsafe self.message = message
        self.count = count
    }

    /// RFC 4254 §7.2 and OpenSSH PROTOCOL §2.4; nil for what only a server opens.
    init?(channel: UInt32, _ request: ChannelOpenRequest) {
        var bytes: [UInt8] = []
        func append(_ number: UInt32) {
            unsafe withUnsafeBytes(of: number.bigEndian) { unsafe bytes.append(contentsOf: $0) }
        }
        func append(_ text: String) {
            append(UInt32(text.utf8.count))
            bytes.append(contentsOf: text.utf8)
        }
        let type: StaticString
        switch request {
        case .directTCPIP(let host, let port, let originator, let originatorPort):
            type = "direct-tcpip"
            append(host)
            append(UInt32(port))
            append(originator)
            append(UInt32(originatorPort))
        case .directStreamLocal(let path):
            type = "direct-streamlocal@openssh.com"
            append(path)
            append("")
            append(UInt32(0))
        case .forwardedTCPIP, .forwardedStreamLocal:
            return nil
        }
        let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes.count, alignment: 8)
        unsafe memory.copyMemory(from: bytes, byteCount: bytes.count)
        unsafe self.init(channel: channel, type: type, message: memory, count: bytes.count)
    }

    func freeMessage() { unsafe message?.deallocate() }
}

extension LibSSH2Engine {
    public mutating func open(_ request: ChannelOpenRequest) throws(SSHError) -> ChannelNumber {
        if let failure { throw failure }
        precondition(login.isDone, "a channel can be opened only after the login")
        let number = takeNumber(.opening)
        guard let open = PendingOpen(channel: number.value, request) else {
            freeNumber(number.value)
            throw SSHError(.unsupported, "a client cannot open a forwarded channel")
        }
        opens.append(open)
        try pump()
        return number
    }

    public mutating func openRequest(_ channel: ChannelNumber) -> ChannelOpenRequest {
        precondition(channels[channel.index].phase == .requested, "no open request waits on this channel")
        let forward = forwards[channels[channel.index].forward]
        // Who connected libssh2 1.10 does not say.
        return .forwardedTCPIP(address: forward.address, port: forward.port, originator: "", originatorPort: 0)
    }

    public mutating func accept(_ channel: ChannelNumber) {
        precondition(channels[channel.index].phase == .requested, "no open request waits on this channel")
        // libssh2 has confirmed it to the peer already; its payload was left unread until now.
        channels[channel.index].phase = .open
    }

    /// libssh2 confirms every open of a forward by itself, so the refusal is a CLOSE and the words are lost.
    public mutating func refuse(_ channel: ChannelNumber, _ reason: OpenFailure, words: String) {
        precondition(channels[channel.index].phase == .requested, "no open request waits on this channel")
        close(channel)
    }

    public mutating func takeRefusal(_ channel: ChannelNumber) -> PeerText {
        refusals.removeValue(forKey: channel.value) ?? PeerText("")
    }

    /// libssh2 grants window only inside a read: the next `nextEvent` does it, so one must follow even when nothing
    /// has come from the peer.
    public mutating func credit(_ channel: ChannelNumber, count: Int) {
        guard channels[channel.index].phase == .open else { return }
        let before = channels[channel.index].uncredited
        precondition(count >= 0 && count <= before, "more payload credited than was handed out")
        channels[channel.index].uncredited = before - count
    }

    public mutating func finish(_ channel: ChannelNumber) {
        guard channels[channel.index].phase == .open, !channels[channel.index].wantsFinish else { return }
        channels[channel.index].wantsFinish = true
        control(channel.value)
    }

    public mutating func close(_ channel: ChannelNumber) {
        let number = channel.value
        events.drop(channel)
        if channels[channel.index].starved {
            channels[channel.index].starved = false
            starvedChannels -= 1
        }
        switch channels[channel.index].phase {
        case .opening:
            channels[channel.index].phase = .abandoned
            if let place = opens.firstIndex(where: { $0.channel == number }), !opens[place].started {
                opens.remove(at: place).freeMessage()
                freeNumber(number)
            }
        case .requested, .open:
            channels[channel.index].phase = .closing
            control(number)
        case .refused:
            // Its event was dropped with the rest.
            freeNumber(number)
        case .free, .abandoned, .closing:
            preconditionFailure("a channel that is not open was closed")
        }
    }

    // MARK: What the peer still works on

    public var channelCount: Int { channels.count - freeNumbers.count }

    public var unconfirmedCount: Int {
        channels.count { ($0.phase == .closing || $0.phase == .open) && $0.wantsFinish && !$0.closed }
    }

    /// libssh2 tells of no SSH_MSG_CHANNEL_WINDOW_ADJUST, but how much may be sent now: that, and what was sent, is all that
    /// the peer has granted. So this counts grants in bytes, not in messages. It sees no payload for a channel that this
    /// end has closed, and of a channel whose payload is not read it sees EOF and CLOSE only when it is.
    ///
    /// It asks every channel, so it is for once in a while.
    public var channelProgress: UInt64 {
        var progress = settledProgress
        for index in channels.indices { progress &+= granted(index) }
        return progress
    }

    /// What the peer has let us send on a channel so far, bytes.
    private func granted(_ index: Int) -> UInt64 {
        guard let handle = unsafe channels[index].handle else { return 0 }
        return channels[index].sent &+ UInt64(unsafe libssh2_channel_window_write_ex(handle, nil))
    }

    // MARK: Numbers

    mutating func takeNumber(_ phase: Channel.Phase) -> ChannelNumber {
        let number: UInt32
        if let free = freeNumbers.popLast() {
            number = free
        } else {
            number = UInt32(channels.count)
            channels.append(Channel())
        }
        channels[Int(number)] = Channel()
        channels[Int(number)].phase = phase
        return ChannelNumber(number)
    }

    mutating func freeNumber(_ number: UInt32) {
        channels[Int(number)] = Channel()
        freeNumbers.append(number)
    }

    // MARK: Operations under way

    /// Carries every unfinished operation on as far as the input allows, in the order in which data and control
    /// messages must leave: payload first, so that no EOF overtakes it.
    mutating func pump() throws(SSHError) {
        try pumpUnsent()
        try pumpOpens()
        try pumpForwards()
        try pumpControls()
    }

    mutating func pumpOrKeepError() {
        do throws(SSHError) { try pump() } catch { keep(error) }
    }

    mutating func pumpOpens() throws(SSHError) {
        while !opens.isEmpty {
            opens[0].started = true
            let open = opens[0]
            let handle = unsafe libssh2_channel_open_ex(
                session, UnsafeRawPointer(open.type.utf8Start).assumingMemoryBound(to: CChar.self),
                UInt32(open.type.utf8CodeUnitCount), Self.window, Self.packetSize,
                open.message?.assumingMemoryBound(to: CChar.self), UInt32(open.count))
            if let handle = unsafe handle {
                opens.removeFirst().freeMessage()
                unsafe opened(open.channel ?? takeNumber(.abandoned).value, handle)
                continue
            }
            let code = unsafe libssh2_session_last_errno(session)
            if code == LIBSSH2_ERROR_EAGAIN { return }
            opens.removeFirst().freeMessage()
            // A late answer is dropped by libssh2; the channel stays half open at the server until the link ends.
            guard code == LIBSSH2_ERROR_CHANNEL_FAILURE || code == LIBSSH2_ERROR_TIMEOUT else { throw end(error(code)) }
            if let number = open.channel { refused(number, code) }
        }
    }

    private mutating func opened(_ number: UInt32, _ handle: OpaquePointer) {
        settledProgress &+= 1
        unsafe channels[Int(number)].handle = handle
        unsafe discardExtendedData(handle)
        if channels[Int(number)].phase == .abandoned {
            channels[Int(number)].phase = .closing
            control(number)
        } else {
            channels[Int(number)].phase = .open
            events.append(.opened(ChannelNumber(number)))
        }
    }

    private mutating func refused(_ number: UInt32, _ code: Int32) {
        if code != LIBSSH2_ERROR_TIMEOUT { settledProgress &+= 1 }
        if channels[Int(number)].phase != .abandoned {
            let words = code == LIBSSH2_ERROR_TIMEOUT ? "no answer from the server within 60 s" : "\(libraryWords())"
            refusals[number] = PeerText(words)
            // A timeout may be found by any call: the number is the caller's until it has been told.
            channels[Int(number)].phase = .refused
            events.append(.openRefused(ChannelNumber(number), Self.reason(words)))
        } else {
            freeNumber(number)
        }
    }

    /// libssh2 gives the reason code only as its own words.
    private static func reason(_ words: String) -> OpenFailure {
        if words.hasSuffix("(administratively prohibited)") { return .administrativelyProhibited }
        if words.hasSuffix("(unknown channel type)") { return .unknownChannelType }
        if words.hasSuffix("(resource shortage)") { return .resourceShortage }
        return .connectFailed
    }

    /// SSH_MSG_CHANNEL_EXTENDED_DATA means nothing on these channels: libssh2 drops it and grants the window anew.
    func discardExtendedData(_ handle: OpaquePointer) {
        _ = unsafe libssh2_channel_handle_extended_data2(handle, LIBSSH2_CHANNEL_EXTENDED_DATA_IGNORE)
    }

    // MARK: EOF and CLOSE

    private mutating func control(_ number: UInt32) {
        if !channels[Int(number)].inControls {
            channels[Int(number)].inControls = true
            controls.append(number)
        }
        guard failure == nil else { return }
        do throws(SSHError) {
            try pumpUnsent()
            try pumpControls()
        } catch { keep(error) }
    }

    mutating func pumpControls() throws(SSHError) {
        var kept = 0
        for place in 0..<controls.count {
            let number = controls[place]
            if try controlIsDone(number) {
                channels[Int(number)].inControls = false
                if channels[Int(number)].phase == .closing { freeNumber(number) }
            } else {
                controls[kept] = number
                kept += 1
            }
        }
        controls.removeLast(controls.count - kept)
    }

    private mutating func controlIsDone(_ number: UInt32) throws(SSHError) -> Bool {
        guard let handle = unsafe channels[Int(number)].handle else { return true }
        // Its payload is not sealed yet: EOF or CLOSE would cut it off.
        if unsent?.channel == number { return false }
        if channels[Int(number)].wantsFinish, !channels[Int(number)].finished {
            let result = unsafe libssh2_channel_send_eof(handle)
            if result == LIBSSH2_ERROR_EAGAIN { return false }
            guard result == 0 else { throw end(error(result)) }
            channels[Int(number)].finished = true
        }
        guard channels[Int(number)].phase == .closing else { return true }
        let granted = granted(Int(number))
        let result = unsafe libssh2_channel_free(handle)
        if result == LIBSSH2_ERROR_EAGAIN { return false }
        guard result == 0 else { throw end(error(result)) }
        unsafe channels[Int(number)].handle = nil
        // The peer's CLOSE has come, now or before.
        settledProgress &+= granted &+ (channels[Int(number)].closed ? 0 : 1)
        return true
    }
}
