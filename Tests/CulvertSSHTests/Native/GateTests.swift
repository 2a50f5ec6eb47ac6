import Testing

@testable import CulvertSSH

/// What each of the 256 message numbers does to a client at each place of a connection, where nothing follows the number.
@Suite struct GateTests {
    private enum Effect: Equatable {
        case ignored, unimplemented, ended, disconnected, loggedIn, taken
    }

    private func expected(_ number: UInt8, _ place: ScriptedServer.Place) -> Effect {
        if number == 1 { return .disconnected }
        let isIdleWord = (2...4).contains(number)
        switch place {
        case .beforeFirst, .first: return isIdleWord ? .ignored : .ended
        case .firstStrict: return .ended
        // The one message that is awaited.
        case .afterReply: return number == 21 ? .taken : .ended
        case .later where !(80...127).contains(number): return isIdleWord ? .ignored : .ended
        case .later, .service, .authentication, .connection, .ownExchange: break
        }
        let isConnected = place == .connection || place == .ownExchange || place == .later
        switch number {
        case 2...4, 193: return .ignored
        case 192: return isConnected ? .ended : .ignored
        // Malformed, or out of place.
        case 5, 6, 7, 20, 21, 30...49: return .ended
        case 52 where place == .authentication: return .loggedIn
        case 50...79: return .ended
        case 80...127 where !isConnected: return .ended
        // Answers to nothing.
        case 81, 82: return .ignored
        case 80, 90...100: return .ended
        default: return .unimplemented
        }
    }

    @Test(arguments: ScriptedServer.Place.allCases)
    func everyNumberHasItsEffect(_ place: ScriptedServer.Place) throws {
        var server: ScriptedServer?
        for number in UInt8.min...UInt8.max {
            // One that nothing happened to serves again.
            let peer = try server ?? ScriptedServer()
            if server == nil { try peer.lead(to: place) }
            let sequence = peer.sealer.sequenceNumber
            let before = peer.heard.count
            var effect: Effect
            do {
                let events = try peer.say([number])
                #expect(events.isEmpty, "\(number)")
                effect = peer.heard.count == before ? .ignored : .unimplemented
                if place == .ownExchange || place == .later, expected(number, place) == .unimplemented {
                    // The answer waits for the end of the exchange.
                    #expect(peer.heard.count == before)
                    effect = .unimplemented
                } else if effect == .unimplemented {
                    #expect(peer.heard.last == [3] + Script.u32(Int(sequence)), "\(number)")
                }
                if place == .authentication && peer.client.isLoggedIn { effect = .loggedIn }
                if place == .afterReply { effect = .taken }
                server = effect == .loggedIn || effect == .taken ? nil : peer
            } catch let error as SSHError {
                peer.listen()
                effect = error.kind == .disconnected ? .disconnected : .ended
                if effect == .ended {
                    #expect(error.kind == .protocolViolation, "\(number): \(error)")
                    #expect(peer.last(1).map { Script.number($0, 1) } == 2, "\(number)")
                }
                server = nil
            }
            #expect(effect == expected(number, place), "\(number) at \(place)")
        }
    }

    /// SSH_MSG_UNIMPLEMENTED reaches the request that it answers.
    @Test func whatIsNotImplementedIsRefused() throws {
        let peer = try ScriptedServer()
        try peer.lead(to: .connection)
        let forward = try peer.client.engine.requestForward(.tcp(address: "", port: 81))
        let events = try peer.say([3] + Script.u32(0))
        guard case .forwardAnswered(forward, accepted: false, port: _)? = events.first, events.count == 1 else {
            Issue.record("\(events)")
            return
        }
    }

    /// The same of the table itself, for a server, where it differs from a client.
    @Test func aServerTakesWhatAClientSays() {
        typealias Stage = MessageGate.Stage
        func verdict(_ number: UInt8, _ stage: Stage) -> MessageGate.Verdict {
            MessageGate.verdict(number, role: .server, exchange: .idle, stage: stage)
        }
        for stage in Stage.allCases {
            #expect(verdict(5, stage) == (stage == .service ? .transport : .refused))
            #expect(verdict(6, stage) == .refused)
            #expect(verdict(50, stage) == [.service: .refused, .authentication: .authentication][stage] ?? .ignored)
        }
        for number in UInt8(80)...127 {
            #expect(verdict(number, .service) == .refused && verdict(number, .authentication) == .refused)
            #expect(verdict(number, .connection) == .connection)
        }
        // CVE-2018-10933: a client that says that it has logged in.
        #expect(verdict(52, .service) == .refused)
    }
}
