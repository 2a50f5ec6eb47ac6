import Testing

@testable import CulvertSSH

/// Every message about a channel in every state of a channel, under keys: what it does, or how it ends the link.
@Suite struct HostileChannelTests {
    enum State: CaseIterable {
        /// No channel has ever had the number: the next one, and the last there is.
        case neverUsed, neverUsedLast
        /// We asked for it.
        case opening
        /// We asked for it and gave it up before the answer.
        case givenUp
        /// The server asked for it, and we have not answered.
        case requested
        case open
        /// EOF went, or came.
        case endedByUs, endedByPeer
        /// CLOSE went, came, or both.
        case closedByUs, closedByPeer, closedByBoth

        var number: Int {
            switch self {
            case .neverUsed: 1
            case .neverUsedLast: 0xffff_ffff
            default: 0
            }
        }
    }

    enum Message: CaseIterable {
        case confirm, fail, adjust, data, emptyData, extended, eof, close, request, quietRequest, success, failure

        func bytes(_ number: Int) -> [UInt8] {
            switch self {
            case .confirm: Script.confirm(number, sender: 7)
            case .fail: Script.fail(number)
            case .adjust: Script.adjust(number, 1)
            case .data: Script.data(number, 5)
            case .emptyData: Script.data(number, 0)
            case .extended: Script.extended(number, 5)
            case .eof: Script.eof(number)
            case .close: Script.close(number)
            case .request: Script.request(number, wantsReply: true)
            case .quietRequest: Script.request(number, wantsReply: false)
            case .success: [99] + Script.u32(number)
            case .failure: [100] + Script.u32(number)
            }
        }
    }

    private enum Effect: Equatable {
        case refused
        case ignored
        case event(String)
        case payload
        case answered([UInt8])
    }

    /// RFC 4254 §5.1 to §5.4; what names a channel that it cannot name ends the link, as with OpenSSH, but for
    /// WINDOW_ADJUST, which may cross anything.
    private func expected(_ message: Message, _ state: State) -> Effect {
        // We ask nothing on a channel, so these answer nothing.
        if message == .success || message == .failure { return .ignored }
        switch (state, message) {
        case (.neverUsed, .adjust), (.neverUsedLast, .adjust), (.closedByPeer, .adjust), (.closedByBoth, .adjust):
            return .ignored
        case (.neverUsed, _), (.neverUsedLast, _), (.closedByPeer, _), (.closedByBoth, _), (.requested, _):
            return .refused
        case (.opening, .confirm): return .event("opened 0")
        case (.opening, .fail): return .event("refused 0 2")
        case (.givenUp, .confirm): return .answered(Script.close(7))
        case (.givenUp, .fail): return .ignored
        case (.opening, _), (.givenUp, _): return .refused
        case (_, .confirm), (_, .fail): return .refused
        case (.closedByUs, _): return .ignored
        // As OpenSSH has it: dropped, and granted again.
        case (.endedByPeer, .data): return .ignored
        case (_, .data): return .payload
        case (.endedByPeer, .eof): return .ignored
        case (_, .eof): return .event("ended 0")
        case (.endedByPeer, .close): return .event("closed 0 after end")
        case (_, .close): return .event("closed 0 cut")
        case (_, .request): return .answered([100] + Script.u32(7))
        case (_, .adjust), (_, .emptyData), (_, .extended), (_, .quietRequest): return .ignored
        case (_, .success), (_, .failure): return .ignored
        }
    }

    private func server(_ state: State, drips: Bool, cipher: String) throws -> ScriptedServer {
        let peer = try ScriptedServer(drips: drips)
        peer.names.ciphers = [cipher]
        try peer.lead(to: .connection)
        if state == .requested {
            _ = try peer.client.engine.requestForward(.tcp(address: "", port: 80))
            try peer.say([81])
            #expect(
                try peer.say(Script.openForwarded(sender: 7, address: "", port: 80)).map(\.words) == ["requested 0"])
            return peer
        }
        let channel = try peer.client.engine.open(.directStreamLocal(path: "/x"))
        peer.listen()
        if state == .opening { return peer }
        if state == .givenUp {
            peer.client.engine.close(channel)
            return peer
        }
        try peer.say(Script.confirm(0, sender: 7))
        switch state {
        case .endedByUs: peer.client.engine.finish(channel)
        case .endedByPeer: try peer.say(Script.eof(0))
        case .closedByUs: peer.client.engine.close(channel)
        case .closedByPeer: try peer.say(Script.close(0))
        case .closedByBoth:
            peer.client.engine.close(channel)
            try peer.say(Script.close(0))
        case .neverUsed, .neverUsedLast, .opening, .givenUp, .requested, .open: break
        }
        peer.listen()
        return peer
    }

    @Test(arguments: State.allCases, ["aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com"])
    func everyMessageHasItsEffect(_ state: State, _ cipher: String) throws {
        for message in Message.allCases {
            for drips in [false, true] {
                let peer = try server(state, drips: drips, cipher: cipher)
                let before = peer.heard.count
                let bytes = message.bytes(state.number)
                let effect = expected(message, state)
                if effect == .refused {
                    peer.expect(.protocolViolation, reason: 2) { try peer.say(bytes) }
                    #expect(peer.heard.count == before + 1 && peer.client.received.isEmpty, "\(message)")
                    continue
                }
                let events = try peer.say(bytes).map(\.words)
                let answers = Array(peer.heard[before...])
                switch effect {
                case .refused, .ignored: #expect(events.isEmpty && answers.isEmpty, "\(message): \(events) \(answers)")
                case .event(let words):
                    #expect(events == [words] && answers.isEmpty, "\(message): \(events) \(answers)")
                case .payload: #expect(events.isEmpty && peer.client.received.count == 5, "\(message)")
                case .answered(let bytes): #expect(events.isEmpty && answers == [bytes], "\(message): \(answers)")
                }
                if effect != .payload { #expect(peer.client.received.isEmpty, "\(message)") }
                // The link goes on.
                try peer.say(Script.global("keepalive@openssh.com", wantsReply: true))
                #expect(peer.heard.last == [82])
            }
        }
    }

    /// A server that opens and opens, and is not answered yet: beyond the limit it is refused, in constant memory.
    @Test(arguments: [false, true]) func opensWithoutEndAreBounded(_ drips: Bool) throws {
        var settings = NativeSettings.curve
        settings.connection.maximumChannels = 10
        let peer = try ScriptedServer(drips: drips, settings)
        try peer.lead(to: .connection)
        _ = try peer.client.engine.requestForward(.tcp(address: "", port: 80))
        try peer.say([81])
        var requested = 0
        for sender in 0..<1000 {
            let events = try peer.say(Script.openForwarded(sender: sender, address: "", port: 80))
            requested += events.count
            if sender >= 10 {
                #expect(events.isEmpty)
                #expect(peer.heard.last.map { Array($0.prefix(9)) } == [92] + Script.u32(sender) + Script.u32(4))
            }
        }
        #expect(requested == 10)
        // Requests on one that is pending end it at once.
        peer.expect(.protocolViolation, reason: 2) { try peer.say(Script.request(3, wantsReply: false)) }
    }
}
