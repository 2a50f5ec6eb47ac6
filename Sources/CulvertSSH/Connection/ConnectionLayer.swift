/// The connection protocol (RFC 4254), for either end: channels, windows, forwards and their requests. It has neither
/// bytes nor keys: messages come opened from the transport and go to its `PacketOutput`. What its owner may call here
/// is `SSHEngine`'s part about channels and requests; what the peer's messages do is in ConnectionMessages.swift.
struct ConnectionLayer: ~Copyable {
    let role: ConnectionRole
    let settings: ConnectionSettings
    var channels = ChannelTable()
    var forwards = ForwardTable()
    var ownRequests = OwnRequests()
    var peerRequests = PeerRequests()
    /// What the peer asked a channel for, until it is answered.
    var openRequests: [ChannelNumber: ChannelOpenRequest] = [:]
    /// Why the peer refused a channel, until somebody asks or the number is used again.
    var refusals: [ChannelNumber: PeerText] = [:]
    /// As `SSHEngine.channelProgress`.
    var progress: UInt64 = 0
    /// What a window may grow to at most now, bytes.
    var windowLimit = UInt32.max

    init(role: ConnectionRole, settings: ConnectionSettings) {
        precondition(
            settings.maximumPacket >= SendWindow.minimumPacket
                && Int(settings.maximumPacket) <= OutputBlock.maximumPayload,
            "the greatest packet is between 256 bytes and 32 KiB")
        precondition(settings.initialWindow <= settings.maximumWindow, "a window begins at most at its cap")
        self.role = role
        self.settings = settings
    }

    // MARK: Opening

    mutating func open(
        _ request: ChannelOpenRequest, _ output: inout PacketOutput
    ) throws(SSHError) -> ChannelNumber {
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
    mutating func runTrue(_ output: inout PacketOutput) {
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

    func openRequest(_ channel: ChannelNumber) -> ChannelOpenRequest {
        guard let request = openRequests[channel] else {
            preconditionFailure("an open request is read before it is answered")
        }
        return request
    }

    mutating func accept(_ channel: ChannelNumber, _ output: inout PacketOutput) {
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

    mutating func refuse(
        _ channel: ChannelNumber, _ reason: OpenFailure, words: String, _ output: inout PacketOutput
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

    mutating func takeRefusal(_ channel: ChannelNumber) -> PeerText {
        refusals.removeValue(forKey: channel) ?? PeerText("")
    }

    // MARK: Payload

    // Mutating, though they change nothing here: a borrowed layer would be copied to the stack at each call.

    mutating func sendable(_ channel: ChannelNumber, _ output: inout PacketOutput) -> Int {
        guard channels[channel].takesPayload else { return 0 }
        let window = channels[channel].sendWindow
        guard window.available > 0 else { return 0 }
        return min(Int(window.available), output.payloadRoom(slotLength: window.packet))
    }

    mutating func reserve(_ channel: ChannelNumber, maximum: Int, _ output: inout PacketOutput) -> PayloadSlots {
        let count = min(maximum, sendable(channel, &output))
        guard count > 0 else { return .none }
        return output.reserve(count: count, slotLength: channels[channel].sendWindow.packet)
    }

    mutating func commit(_ channel: ChannelNumber, count: Int, _ output: inout PacketOutput) {
        precondition(count == 0 || channels[channel].takesPayload, "payload is committed where it was reserved")
        channels[channel].sendWindow.spend(count)
        output.commit(recipient: channels[channel].peerNumber, count: count)
    }

    mutating func credit(_ channel: ChannelNumber, count: Int, _ output: inout PacketOutput) {
        // After CLOSE, in either direction, the peer has no use for a window, and the number may be free already.
        guard channels[channel].takesMessages else { return }
        channels[channel].receiveWindow.credit(count)
        guard channels[channel].receiveWindow.owesAdjust(packet: settings.maximumPacket) else { return }
        if output.passesMessages {
            sendAdjust(channel, &output)
        } else {
            // One message for all that is credited until it can go, however much that is.
            channels.appendOwing(channel)
        }
    }

    private mutating func sendAdjust(_ channel: ChannelNumber, _ output: inout PacketOutput) {
        let count = channels[channel].receiveWindow.takeAdjust(cap: min(windowLimit, settings.maximumWindow))
        var message = output.message()
        ChannelWindowAdjust.write(recipient: channels[channel].peerNumber, count: count, to: &message)
        output.send(message)
    }

    /// The output has room again: tells the peer what was credited while it had none.
    mutating func sendOwed(_ output: inout PacketOutput) {
        while output.passesMessages, let channel = channels.removeFirstOwing() {
            if channels[channel].takesMessages
                && channels[channel].receiveWindow.owesAdjust(packet: settings.maximumPacket)
            {
                sendAdjust(channel, &output)
            }
        }
    }

    // MARK: Ending

    mutating func finish(_ channel: ChannelNumber, _ output: inout PacketOutput) {
        // EOF after CLOSE, in either direction, makes some peers drop the whole connection.
        guard channels[channel].takesPayload else { return }
        channels[channel].sentEOF = true
        signal(MessageNumber.channelEOF, channel, &output)
    }

    mutating func close(_ channel: ChannelNumber, _ output: inout PacketOutput) {
        switch channels[channel].phase {
        case .free:
            preconditionFailure("a channel is closed before its number is free")
        case .requested:
            preconditionFailure("a channel that the peer asked for is accepted or refused, not closed")
        case .opening:
            channels[channel].closesWhenOpened = true
        case .open:
            guard !channels[channel].sentClose else { return }
            sendClose(channel, &output)
            if channels[channel].receivedClose { channels.remove(channel) }
        }
    }

    mutating func sendClose(_ channel: ChannelNumber, _ output: inout PacketOutput) {
        channels[channel].sentClose = true
        signal(MessageNumber.channelClose, channel, &output)
    }

    private func signal(_ number: UInt8, _ channel: ChannelNumber, _ output: inout PacketOutput) {
        var message = output.message()
        ChannelSignal.write(number, recipient: channels[channel].peerNumber, to: &message)
        output.send(message)
    }

    // MARK: Requests of the connection

    mutating func requestForward(
        _ request: ForwardRequest, _ output: inout PacketOutput
    ) throws(SSHError) -> ForwardNumber {
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

    mutating func cancelForward(_ forward: ForwardNumber, _ output: inout PacketOutput) {
        guard let (request, port) = forwards.cancel(forward) else { return }
        sendCancel(request, port: port, &output)
    }

    mutating func sendCancel(_ request: ForwardRequest, port: UInt16, _ output: inout PacketOutput) {
        ownRequests.append(.cancel)
        var message = output.message()
        GlobalRequest.writeCancel(request, port: port, to: &message)
        output.send(message)
    }

    mutating func probe(_ output: inout PacketOutput) {
        ownRequests.append(.probe)
        var message = output.message()
        GlobalRequest.writeKeepalive(to: &message)
        output.send(message)
    }

    mutating func acceptForward(_ request: PeerForwardNumber, port: UInt16, _ output: inout PacketOutput) {
        peerRequests.accept(request, port: port)
        sendAnswers(&output)
    }

    mutating func refuseForward(_ request: PeerForwardNumber, _ output: inout PacketOutput) {
        peerRequests.refuse(request)
        sendAnswers(&output)
    }

    private mutating func sendAnswers(_ output: inout PacketOutput) {
        while let answer = peerRequests.removeAnswer() {
            output.send(write(answer, output.message()))
        }
    }

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
        channels.invariants()
        precondition(channels.count <= settings.maximumChannels, "no more channels than the limit")
    }
}
