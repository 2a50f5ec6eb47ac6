import Testing

@testable import CulvertSSH

/// A native engine whose peer is in the same process: the connection protocol, and never anything else.
@Suite struct InsideProcessTests {
    @Test func nothingOfATransportIsSaid() throws {
        var settings = ConnectionSettings()
        settings.maximumChannels = 2
        var near = try NativeEngine(insideProcess: settings)
        var far = NullCipherEngine(role: .server)
        near.beginKeyExchange()
        near.runTrue()
        #expect(near.output.isEmpty && near.keyExchange == nil && near.keyRenewals == 0)
        let channel = try near.open(.directTCPIP(host: "db", port: 1, originator: "near", originatorPort: 2))
        near.probe()
        var requested: ChannelNumber?
        var bytes = Array(near.output)
        near.outputSent(bytes.count)
        try bytes.withUnsafeMutableBytes { buffer in
            far.receive(buffer)
            while let event = try far.nextEvent() {
                if case .openRequested(let number) = event { requested = number }
            }
            #expect(far.takeConsumed() == buffer.count)
        }
        far.accept(try #require(requested))
        bytes = Array(far.output)
        far.outputSent(bytes.count)
        var told: [String] = []
        try bytes.withUnsafeMutableBytes { buffer in
            near.receive(buffer)
            while let event = try near.nextEvent() {
                switch event {
                case .opened(channel): told.append("opened")
                case .probeAnswered: told.append("answered")
                default: told.append("\(event)")
                }
            }
            #expect(near.takeConsumed() == buffer.count)
        }
        #expect(told == ["answered", "opened"])
        near.beginKeyExchange()
        #expect(near.output.isEmpty)
        near.invariants()
    }
}
