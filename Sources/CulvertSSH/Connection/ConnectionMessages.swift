/// What the peer's messages do to the connection. One function a message; `handle` and `other` choose.
///
/// What a peer gets wrong with one channel's window ends that channel (`violated`), everything else that may not be ends
/// the connection.
///
/// Rules for channel numbers: WINDOW_ADJUST for a channel that is over, or for a number that is not in use, is dropped;
/// everything else for such a number ends the connection, as OpenSSH has it. After our CLOSE and before the peer's,
/// all that comes for the channel is normal and has no effect. After the peer's CLOSE nothing but that may come.
extension ConnectionLayer {
    /// Returns what its owner must know, nil when that is nothing.
    mutating func handle(_ packet: OpenedPacket) throws(SSHError) -> EngineEvent? {
        // Nearly every packet is this one; the rest would only make its way longer.
        packet.number == MessageNumber.channelData ? try data(packet) : try other(packet)
    }

    @inline(never)
    private mutating func other(_ packet: OpenedPacket) throws(SSHError) -> EngineEvent? {
        switch packet.number {
        case MessageNumber.channelWindowAdjust: return try windowAdjust(packet)
        case MessageNumber.channelOpen: return try open(packet)
        case MessageNumber.channelOpenConfirmation: return try confirmation(packet)
        case MessageNumber.channelOpenFailure: return try failure(packet)
        case MessageNumber.channelExtendedData: return try extendedData(packet)
        case MessageNumber.channelEOF: return try eof(packet)
        case MessageNumber.channelClose: return try close(packet)
        case MessageNumber.channelRequest: return try channelRequest(packet)
        case MessageNumber.channelSuccess, MessageNumber.channelFailure:
            let answer = try ChannelSignal(packet.reader("SSH_MSG_CHANNEL_SUCCESS"))
            return packet.number == MessageNumber.channelFailure ? requestFailed(answer.recipient) : nil
        case MessageNumber.globalRequest: return try globalRequest(packet)
        case MessageNumber.requestSuccess: return try requestSuccess(packet)
        case MessageNumber.requestFailure: return requestRefused()
        case MessageNumber.disconnect:
            throw DisconnectMessage.error(packet.reader("SSH_MSG_DISCONNECT"), from: role.other)
        // A server that knows no global requests (tinyssh) answers them so. Nothing else that we send asks for an answer
        // without having its own, so which packet it names makes no difference.
        case MessageNumber.unimplemented: return requestRefused()
        case MessageNumber.ignore, MessageNumber.debug:
            return nil
        case MessageNumber.userAuthRequest where role == .server:
            // RFC 4252 §5.1: silently ignored once the user is known.
            return nil
        case 5...79:
            // The rest of transport and user authentication: what of it may come now, the transport has kept back.
            throw .violation("message \(packet.number) has no place in the connection protocol")
        default:
            var message = output.message()
            UnimplementedMessage.write(sequenceNumber: packet.sequenceNumber, to: &message)
            try output.reply(message)
            return nil
        }
    }

    /// The open channel that a message names. Mutating, though it changes nothing: a borrowed layer would be copied to
    /// the stack at each packet.
    private mutating func channel(_ recipient: UInt32, _ message: StaticString) throws(SSHError) -> ChannelNumber {
        guard let number = channels.number(recipient) else {
            throw .violation("\(message) names channel \(recipient), which is not in use")
        }
        guard channels[number].phase == .open else {
            throw .violation("\(message) names channel \(recipient), which is not open yet")
        }
        guard !channels[number].receivedClose else {
            throw .violation("\(message) follows CLOSE on channel \(recipient)")
        }
        return number
    }

    // MARK: Payload

    private mutating func data(_ packet: OpenedPacket) throws(SSHError) -> EngineEvent? {
        let data = try ChannelData(packet.reader("SSH_MSG_CHANNEL_DATA"))
        let number = try channel(data.recipient, "SSH_MSG_CHANNEL_DATA")
        guard !channels[number].dropsPayload else { return drop(data.payload.count, number) }
        switch channels[number].receiveWindow.receive(data.payload.count) {
        case .taken: return data.payload.count > 0 ? .payload(number, data.payload) : nil
        case .tooMuch: return violate(number)
        }
    }

    private mutating func extendedData(_ packet: OpenedPacket) throws(SSHError) -> EngineEvent? {
        let data = try ChannelExtendedData(packet.reader("SSH_MSG_CHANNEL_EXTENDED_DATA"))
        return drop(data.count, try channel(data.recipient, "SSH_MSG_CHANNEL_EXTENDED_DATA"))
    }

    /// Payload that nobody reads. It is granted again at once, as OpenSSH does: dropped without credit it would close the
    /// window for good.
    @inline(never)
    private mutating func drop(_ count: Int, _ number: ChannelNumber) -> EngineEvent? {
        switch channels[number].receiveWindow.receive(count) {
        case .taken:
            // After our CLOSE nothing is granted, so the window bounds how often.
            if channels[number].sentClose && count > 0 { progress += 1 }
            credit(number, count: count)
            return nil
        case .tooMuch:
            guard channels[number].sentClose else { return violate(number) }
            // It is on its way to hearing that the channel is over.
            excess += count
            return nil
        }
    }

    /// The peer does not keep to the window of a channel: what came last goes nowhere, and the channel ends.
    private mutating func violate(_ number: ChannelNumber) -> EngineEvent {
        sendClose(number)
        return .violated(number)
    }

    private mutating func windowAdjust(_ packet: OpenedPacket) throws(SSHError) -> EngineEvent? {
        let adjust = try ChannelWindowAdjust(packet.reader("SSH_MSG_CHANNEL_WINDOW_ADJUST"))
        guard let named = channels.number(adjust.recipient), !channels[named].receivedClose else { return nil }
        let number = try channel(adjust.recipient, "SSH_MSG_CHANNEL_WINDOW_ADJUST")
        let grant = channels[number].sendWindow.add(adjust.count)
        if adjust.count > 0 && grant != .tooMuch { progress += 1 }
        switch grant {
        case .added: return nil
        case .reopened: return channels[number].takesPayload ? .sendable(number) : nil
        case .tooMuch: return channels[number].sentClose ? nil : violate(number)
        }
    }

    // MARK: Opening

    @inline(never)
    private mutating func open(_ packet: OpenedPacket) throws(SSHError) -> EngineEvent? {
        let open = try ChannelOpen(packet.reader("SSH_MSG_CHANNEL_OPEN"))
        // Its owner answers it, perhaps at once: that counts as an answer of our own does.
        try output.expectReply()
        let answer = judge(open)
        switch answer {
        case .request(let request):
            let number = channels.insert(.requested)
            refusals[number] = nil
            openRequests[number] = request
            channels[number].peerNumber = open.sender
            channels[number].sendWindow = SendWindow(available: open.window, maximumPacket: open.maximumPacket)
            return .openRequested(number)
        case .unasked(let request):
            unaskedOpen = request
            try refuse(open, .administrativelyProhibited, "no such forward was asked for")
        case .refuse(let reason, let words): try refuse(open, reason, words)
        }
        return nil
    }

    private mutating func refuse(_ open: ChannelOpen, _ reason: OpenFailure, _ words: String) throws(SSHError) {
        var message = output.message()
        ChannelOpenFailure.write(recipient: open.sender, reason: reason, words: words, to: &message)
        try output.reply(message)
    }

    private enum Judgement {
        case request(ChannelOpenRequest)
        case refuse(OpenFailure, String)
        /// It belongs to no forward of ours.
        case unasked(ChannelOpenRequest)
    }

    private func judge(_ open: ChannelOpen) -> Judgement {
        let request: ChannelOpenRequest
        switch open.body {
        case .unknownType: return .refuse(.unknownChannelType, "unknown channel type")
        case .session: return .refuse(.administrativelyProhibited, "only forwarding is served")
        case .impossible: return .refuse(.connectFailed, "no such endpoint")
        case .request(let asked): request = asked
        }
        guard open.maximumPacket >= SendWindow.minimumPacket else {
            return .refuse(.resourceShortage, "the greatest packet is too small")
        }
        guard channels.count < settings.maximumChannels else {
            return .refuse(.resourceShortage, "too many channels")
        }
        switch (request, role) {
        case (.directTCPIP, .server), (.directStreamLocal, .server):
            return .request(request)
        case (.forwardedTCPIP, .client), (.forwardedStreamLocal, .client):
            return forwards.match(request).map { .request($0) } ?? .unasked(request)
        case (.directTCPIP, .client), (.directStreamLocal, .client):
            return .refuse(.administrativelyProhibited, "a client dials nothing for its server")
        case (.forwardedTCPIP, .server), (.forwardedStreamLocal, .server):
            return .refuse(.administrativelyProhibited, "a server asks for no forward")
        }
    }

    /// The channel of ours that an answer to CHANNEL_OPEN names.
    private func opening(_ recipient: UInt32, _ message: StaticString) throws(SSHError) -> ChannelNumber {
        guard let number = channels.number(recipient), channels[number].phase == .opening else {
            throw .violation("\(message) names channel \(recipient), which is not being opened")
        }
        return number
    }

    private mutating func confirmation(_ packet: OpenedPacket) throws(SSHError) -> EngineEvent? {
        let message = try ChannelOpenConfirmation(packet.reader("SSH_MSG_CHANNEL_OPEN_CONFIRMATION"))
        let number = try opening(message.recipient, "SSH_MSG_CHANNEL_OPEN_CONFIRMATION")
        guard message.maximumPacket >= SendWindow.minimumPacket else {
            throw .violation("it takes packets of at most \(message.maximumPacket) bytes")
        }
        progress += 1
        channels[number].phase = .open
        channels[number].peerNumber = message.sender
        channels[number].sendWindow = SendWindow(available: message.window, maximumPacket: message.maximumPacket)
        if channels[number].closesWhenOpened {
            if channels[number].runsCommand {
                var request = output.message()
                ChannelRequest.writeExec("true", recipient: channels[number].peerNumber, to: &request)
                output.send(request)
            }
            sendClose(number)
            return nil
        }
        return .opened(number)
    }

    private mutating func failure(_ packet: OpenedPacket) throws(SSHError) -> EngineEvent? {
        let message = try ChannelOpenFailure(packet.reader("SSH_MSG_CHANNEL_OPEN_FAILURE"))
        let number = try opening(message.recipient, "SSH_MSG_CHANNEL_OPEN_FAILURE")
        progress += 1
        let isAwaited = !channels[number].closesWhenOpened
        let isCommand = channels[number].runsCommand
        channels.remove(number)
        if isCommand { return .commandRefused }
        guard isAwaited else { return nil }
        refusals[number] = message.words
        return .openRefused(number, message.reason)
    }

    // MARK: Ending

    private mutating func eof(_ packet: OpenedPacket) throws(SSHError) -> EngineEvent? {
        let message = try ChannelSignal(packet.reader("SSH_MSG_CHANNEL_EOF"))
        let number = try channel(message.recipient, "SSH_MSG_CHANNEL_EOF")
        // A second EOF says nothing new.
        guard !channels[number].receivedEOF else { return nil }
        progress += 1
        channels[number].receivedEOF = true
        return channels[number].sentClose ? nil : .ended(number)
    }

    private mutating func close(_ packet: OpenedPacket) throws(SSHError) -> EngineEvent? {
        let message = try ChannelSignal(packet.reader("SSH_MSG_CHANNEL_CLOSE"))
        let number = try channel(message.recipient, "SSH_MSG_CHANNEL_CLOSE")
        progress += 1
        if channels[number].sentClose {
            channels.remove(number)
            return nil
        }
        channels[number].receivedClose = true
        return .closed(number, afterEnd: channels[number].receivedEOF)
    }

    // MARK: Requests

    /// The only thing that is asked for on a channel is a command: for another answer nobody waits.
    private mutating func requestFailed(_ recipient: UInt32) -> EngineEvent? {
        guard let number = channels.number(recipient), channels[number].phase == .open, channels[number].runsCommand
        else { return nil }
        // Once.
        channels[number].runsCommand = false
        return .commandRefused
    }

    private mutating func channelRequest(_ packet: OpenedPacket) throws(SSHError) -> EngineEvent? {
        let request = try ChannelRequest(packet.reader("SSH_MSG_CHANNEL_REQUEST"))
        let number = try channel(request.recipient, "SSH_MSG_CHANNEL_REQUEST")
        guard request.wantsReply, channels[number].takesMessages else { return nil }
        var message = output.message()
        ChannelSignal.write(MessageNumber.channelFailure, recipient: channels[number].peerNumber, to: &message)
        try output.reply(message)
        return nil
    }

    @inline(never)
    private mutating func globalRequest(_ packet: OpenedPacket) throws(SSHError) -> EngineEvent? {
        let request = try GlobalRequest(packet.reader("SSH_MSG_GLOBAL_REQUEST"))
        switch (request.body, role) {
        case (.listen(let forward), .server):
            let asked = PeerForwardRequest(action: .listen, request: forward)
            return .forwardRequested(try peerRequests.append(asked, wantsReply: request.wantsReply))
        case (.cancel(let forward), .server):
            let asked = PeerForwardRequest(action: .cancel, request: forward)
            return .forwardRequested(try peerRequests.append(asked, wantsReply: request.wantsReply))
        case (.hostKeys(let keys), .client):
            if request.wantsReply { try refuse() }
            return hostKeyNews.offer(keys) ? .hostKeysOffered : nil
        case (.listen, .client), (.cancel, .client), (.hostKeys, .server), (.impossible, _), (.unknown, _):
            // A keepalive is one of these: any answer serves it.
            if request.wantsReply { try refuse() }
            return nil
        }
    }

    private mutating func refuse() throws(SSHError) {
        if peerRequests.isEmpty {
            try output.reply(write(.failure, output.message()))
        } else {
            try peerRequests.appendRefused()
        }
    }

    private mutating func requestSuccess(_ packet: OpenedPacket) throws(SSHError) -> EngineEvent? {
        switch ownRequests.removeFirst() {
        case .none, .cancel: return nil
        case .probe: return .probeAnswered
        case .hostKeyProof:
            hostKeyNews.answered(HostKeyNews.readSignatures(packet.reader("SSH_MSG_REQUEST_SUCCESS")))
            return .hostKeyProofAnswered
        case .forward(let number):
            return announce(forwards.accepted(number, port: try portOfSuccess(packet, number)), number)
        }
    }

    /// RFC 4254 §7.1: the port stands in the answer where 0 was asked for, and only there.
    private func portOfSuccess(_ packet: OpenedPacket, _ number: ForwardNumber) throws(SSHError) -> UInt16 {
        switch forwards.request(number) {
        case .tcp(_, 0):
            var reader = packet.reader("SSH_MSG_REQUEST_SUCCESS")
            let said = try reader.uint32()
            guard let port = UInt16(exactly: said), port > 0 else {
                throw .violation("it says that it listens on port \(said)")
            }
            return port
        case .tcp(_, let port): return port
        case .streamLocal, .none: return 0
        }
    }

    private mutating func requestRefused() -> EngineEvent? {
        switch ownRequests.removeFirst() {
        case .none, .cancel: return nil
        case .probe: return .probeAnswered
        case .hostKeyProof:
            hostKeyNews.answered(nil)
            return .hostKeyProofAnswered
        case .forward(let number):
            switch forwards.refused(number) {
            case .answered(let accepted, let port):
                return .forwardAnswered(number, accepted: accepted, port: port)
            case .mustCancel, .forgotten: return nil
            }
        }
    }

    private mutating func announce(
        _ outcome: ForwardTable.Outcome, _ number: ForwardNumber
    ) -> EngineEvent? {
        switch outcome {
        case .answered(let accepted, let port):
            return .forwardAnswered(number, accepted: accepted, port: port)
        case .mustCancel(let request, let port):
            sendCancel(request, port: port)
            return nil
        case .forgotten:
            return nil
        }
    }
}
