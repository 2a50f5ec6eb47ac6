/// The connection protocol (RFC 4254), for either end: channels, windows, forwards and their requests, and everything that
/// goes out. Messages come opened from whoever owns it; a transport that has something of its own to say, or new keys,
/// is lent `output`.
///
/// What may be called here by its owner's user is `SSHEngine`'s part about channels and requests, as `ConnectionEngine`
/// hands it on; what the peer's messages do is in ConnectionMessages.swift.
public struct ConnectionLayer: ~Copyable {
    let role: ConnectionRole
    let settings: ConnectionSettings
    var output: PacketOutput
    var channels = ChannelTable()
    var forwards = ForwardTable()
    var ownRequests = OwnRequests()
    var peerRequests = PeerRequests()
    /// What a server says of its host keys.
    var hostKeyNews = HostKeyNews()
    /// What the peer asked a channel for, until it is answered.
    var openRequests: [ChannelNumber: ChannelOpenRequest] = [:]
    /// Why the peer refused a channel, until somebody asks or the number is used again.
    var refusals: [ChannelNumber: PeerText] = [:]
    /// The last channel that was refused because nobody had asked for it, until somebody asks.
    var unaskedOpen: ChannelOpenRequest?
    /// As `SSHEngine.channelProgress`.
    var progress: UInt64 = 0
    /// Payload of closed channels that no window bounds, bytes.
    var excess = 0
    /// What a window may grow to at most now, bytes.
    var windowLimit = UInt32.max

    init(role: ConnectionRole, settings: ConnectionSettings, output: consuming PacketOutput) {
        precondition(
            settings.maximumPacket >= SendWindow.minimumPacket
                && Int(settings.maximumPacket) <= OutputBlock.maximumPayload,
            "the greatest packet is between 256 bytes and 32 KiB")
        precondition(settings.initialWindow <= settings.maximumWindow, "a window begins at most at its cap")
        self.role = role
        self.settings = settings
        self.output = output
    }

    /// Not inlined: an engine's setter of it is, in other modules, and what its parts free is this module's alone. Swift 6.3.1
    /// ends with an assertion where it tries.
    @inline(never) deinit {}

    // MARK: Sent

    // Mutating, though it changes nothing: a borrowed layer would be copied to the stack at each call.
    public var unsent: UnsafeRawBufferPointer {
        mutating get { unsafe output.unsent }
    }

    public mutating func outputSent(_ count: Int) {
        output.didSend(count)
        sendOwed()
    }

    // MARK: Opening

    public mutating func open(_ request: ChannelOpenRequest) throws(SSHError) -> ChannelNumber {
        switch request {
        case .directTCPIP, .directStreamLocal:
            guard role == .client else { throw SSHError(.unsupported, "a server opens no direct channel") }
        case .forwardedTCPIP, .forwardedStreamLocal:
            guard role == .server else { throw SSHError(.unsupported, "a client opens no forwarded channel") }
        }
        guard ChannelOpen.fits(request) else {
            throw SSHError(.local, "a host name or path is longer than \(ChannelOpen.maximumText) bytes")
        }
        guard channels.count < settings.maximumChannels else {
            throw SSHError(.local, "\(settings.maximumChannels) channels are open, which is the limit")
        }
        let number = channels.insert(.opening)
        refusals[number] = nil
        channels[number].receiveWindow = ReceiveWindow(size: settings.initialWindow)
        var message = output.message()
        ChannelOpen.write(
            request, sender: number.value, window: settings.initialWindow, maximumPacket: settings.maximumPacket,
            to: &message)
        output.send(message)
        return number
    }

    /// Runs `true` in a "session" of its own, whatever comes of it. A refusal has no effect but `.commandRefused`.
    public mutating func runTrue() {
        guard role == .client, channels.count < settings.maximumChannels else { return }
        let number = channels.insert(.opening)
        refusals[number] = nil
        channels[number].runsCommand = true
        channels[number].closesWhenOpened = true
        channels[number].receiveWindow = ReceiveWindow(size: settings.initialWindow)
        var message = output.message()
        ChannelOpen.writeSession(
            sender: number.value, window: settings.initialWindow, maximumPacket: settings.maximumPacket, to: &message)
        output.send(message)
    }

    public func openRequest(_ channel: ChannelNumber) -> ChannelOpenRequest {
        guard let request = openRequests[channel] else {
            preconditionFailure("an open request is read before it is answered")
        }
        return request
    }

    public mutating func accept(_ channel: ChannelNumber) {
        precondition(channels[channel].phase == .requested, "only what was requested is accepted, once")
        openRequests[channel] = nil
        channels[channel].phase = .open
        channels[channel].receiveWindow = ReceiveWindow(size: settings.initialWindow)
        var message = output.message()
        ChannelOpenConfirmation(
            recipient: channels[channel].peerNumber, sender: channel.value, window: settings.initialWindow,
            maximumPacket: settings.maximumPacket
        ).write(to: &message)
        output.send(message)
    }

    public mutating func refuse(
        _ channel: ChannelNumber, _ reason: OpenFailure, words: String
    ) {
        precondition(channels[channel].phase == .requested, "only what was requested is refused, once")
        openRequests[channel] = nil
        var message = output.message()
        ChannelOpenFailure.write(
            recipient: channels[channel].peerNumber, reason: reason, words: PeerText(words).description,
            to: &message)
        output.send(message)
        channels.remove(channel)
    }

    public mutating func takeRefusal(_ channel: ChannelNumber) -> PeerText {
        refusals.removeValue(forKey: channel) ?? PeerText("")
    }

    public mutating func takeUnaskedOpen() -> ChannelOpenRequest? { unaskedOpen.take() }

    // MARK: Payload

    // Mutating, though they change nothing here: a borrowed layer would be copied to the stack at each call.

    public mutating func sendable(_ channel: ChannelNumber) -> Int {
        guard channels[channel].takesPayload else { return 0 }
        let window = channels[channel].sendWindow
        guard window.available > 0 else { return 0 }
        return min(Int(window.available), output.payloadRoom(slotLength: window.packet))
    }

    public mutating func reserve(_ channel: ChannelNumber, maximum: Int) -> PayloadSlots {
        guard channels[channel].takesPayload else { return .none }
        let window = channels[channel].sendWindow
        return output.reserve(maximum: min(maximum, Int(window.available)), slotLength: window.packet)
    }

    public mutating func commit(_ channel: ChannelNumber, count: Int) {
        precondition(count == 0 || channels[channel].takesPayload, "payload is committed where it was reserved")
        channels[channel].sendWindow.spend(count)
        output.commit(recipient: channels[channel].peerNumber, count: count)
    }

    public mutating func credit(_ channel: ChannelNumber, count: Int) {
        // After CLOSE, in either direction, the peer has no use for a window, and the number may be free already.
        guard channels[channel].takesMessages else { return }
        channels[channel].receiveWindow.credit(count)
        guard channels[channel].receiveWindow.owesAdjust(packet: settings.maximumPacket) else { return }
        if output.passesMessages {
            sendAdjust(channel)
        } else {
            // One message for all that is credited until it can go, however much that is.
            channels.appendOwing(channel)
        }
    }

    private mutating func sendAdjust(_ channel: ChannelNumber) {
        let count = channels[channel].receiveWindow.takeAdjust(cap: min(windowLimit, settings.maximumWindow))
        var message = output.message()
        ChannelWindowAdjust.write(recipient: channels[channel].peerNumber, count: count, to: &message)
        output.send(message)
    }

    /// The output has room again: tells the peer what was credited while it had none.
    mutating func sendOwed() {
        while output.passesMessages, let channel = channels.removeFirstOwing() {
            if channels[channel].takesMessages
                && channels[channel].receiveWindow.owesAdjust(packet: settings.maximumPacket)
            {
                sendAdjust(channel)
            }
        }
    }

    public var channelCount: Int { channels.count }

    public var unconfirmedCount: Int { channels.unconfirmedCount }
    public var channelProgress: UInt64 { progress }

    public mutating func allowWindows(upTo bytes: Int) { windowLimit = UInt32(clamping: bytes) }

    // MARK: Ending

    public mutating func finish(_ channel: ChannelNumber) {
        // EOF after CLOSE, in either direction, makes some peers drop the whole connection.
        guard channels[channel].takesPayload else { return }
        channels[channel].sentEOF = true
        signal(MessageNumber.channelEOF, channel)
    }

    public mutating func close(_ channel: ChannelNumber) {
        switch channels[channel].phase {
        case .free:
            preconditionFailure("a channel is closed before its number is free")
        case .requested:
            preconditionFailure("a channel that the peer asked for is accepted or refused, not closed")
        case .opening:
            channels[channel].closesWhenOpened = true
        case .open:
            guard !channels[channel].sentClose else { return }
            sendClose(channel)
            if channels[channel].receivedClose { channels.remove(channel) }
        }
    }

    mutating func sendClose(_ channel: ChannelNumber) {
        channels[channel].sentClose = true
        signal(MessageNumber.channelClose, channel)
    }

    private mutating func signal(_ number: UInt8, _ channel: ChannelNumber) {
        var message = output.message()
        ChannelSignal.write(number, recipient: channels[channel].peerNumber, to: &message)
        output.send(message)
    }

    // MARK: Requests of the connection

    public mutating func requestForward(_ request: ForwardRequest) throws(SSHError) -> ForwardNumber {
        guard role == .client else { throw SSHError(.unsupported, "a server asks for no forward") }
        guard GlobalRequest.fits(request) else {
            throw SSHError(.local, "an address or path is longer than \(ChannelOpen.maximumText) bytes")
        }
        let number = forwards.insert(request)
        ownRequests.append(.forward(number))
        var message = output.message()
        GlobalRequest.writeListen(request, to: &message)
        output.send(message)
        return number
    }

    public mutating func cancelForward(_ forward: ForwardNumber) {
        guard let (request, port) = forwards.cancel(forward) else { return }
        sendCancel(request, port: port)
    }

    mutating func sendCancel(_ request: ForwardRequest, port: UInt16) {
        ownRequests.append(.cancel)
        var message = output.message()
        GlobalRequest.writeCancel(request, port: port, to: &message)
        output.send(message)
    }

    public mutating func probe() {
        ownRequests.append(.probe)
        var message = output.message()
        GlobalRequest.writeKeepalive(to: &message)
        output.send(message)
    }

    public func forwardRequest(_ request: PeerForwardNumber) -> PeerForwardRequest { peerRequests.request(request) }

    public mutating func acceptForward(_ request: PeerForwardNumber, port: UInt16) {
        peerRequests.accept(request, port: port)
        sendAnswers()
    }

    public mutating func refuseForward(_ request: PeerForwardNumber) {
        peerRequests.refuse(request)
        sendAnswers()
    }

    private mutating func sendAnswers() {
        while let answer = peerRequests.removeAnswer() {
            output.send(write(answer, output.message()))
        }
    }

    /// The last word.
    public mutating func disconnect() { output.sendLastWord(.byApplication) }

    func write(_ answer: PeerRequests.Answer, _ message: consuming WireWriter) -> WireWriter {
        switch answer {
        case .success(let port):
            message.byte(MessageNumber.requestSuccess)
            if let port { message.uint32(UInt32(port)) }
        case .failure:
            message.byte(MessageNumber.requestFailure)
        }
        return message
    }

    func invariants() {
        output.invariants()
        channels.invariants()
        precondition(channels.count <= settings.maximumChannels, "no more channels than the limit")
    }
}
