import Testing

@testable import CulvertSSH

/// What connections hold for what they send: memory is lent while there is output, and given back.
@Suite struct OutputMemoryTests {
    /// Two ends in the same memory, with one channel.
    private final class Pair<Engine: ConnectionEngine & ~Copyable> {
        var near: Engine
        var far: Engine
        private(set) var accepted: ChannelNumber?
        private(set) var received = 0

        init(_ near: consuming Engine, _ far: consuming Engine) {
            self.near = near
            self.far = far
        }

        /// Carries everything that is under way.
        func settle() throws {
            while !near.output.isEmpty || !far.output.isEmpty {
                try carry(&near, &far)
                try carry(&far, &near)
            }
        }

        private func carry(_ source: inout Engine, _ target: inout Engine) throws {
            var bytes = Array(source.output)
            source.outputSent(bytes.count)
            try bytes.withUnsafeMutableBytes { buffer in
                target.receive(buffer)
                while let event = try target.nextEvent() {
                    switch event {
                    case .openRequested(let channel):
                        target.accept(channel)
                        accepted = channel
                    case .payload(let channel, let payload):
                        received += payload.count
                        target.credit(channel, count: payload.count)
                    default: break
                    }
                }
                #expect(target.takeConsumed() == buffer.count)
            }
        }

        /// As much as the window lets go, up to `count` bytes.
        func commit(_ channel: ChannelNumber, _ count: Int) throws -> Int {
            let slots = near.reserve(channel, maximum: count)
            for slot in 0..<slots.count {
                let length = slot == slots.count - 1 ? slots.lastLength : slots.slotLength
                (slots.first! + slot * slots.stride).initializeMemory(as: UInt8.self, repeating: 7, count: length)
            }
            try near.commit(channel, count: slots.totalLength)
            return slots.totalLength
        }

        func openChannel() throws -> ChannelNumber {
            let channel = try near.open(
                .directTCPIP(host: "far", port: 1, originator: "near", originatorPort: 2))
            try settle()
            try #require(accepted != nil)
            return channel
        }
    }

    private func nullPair() -> Pair<NullCipherEngine> {
        Pair(NullCipherEngine(role: .client), NullCipherEngine(role: .server))
    }

    @Test func aThousandIdleEnginesHoldNoOutput() throws {
        var pairs: [Pair<NullCipherEngine>] = []
        for _ in 0..<500 {
            let pair = nullPair()
            let channel = try pair.openChannel()
            var sent = 0
            while sent < 600_000 {
                sent += try pair.commit(channel, 600_000 - sent)
                try pair.settle()
            }
            #expect(pair.received == sent)
            pairs.append(pair)
        }
        let held = pairs.map { $0.near.storedOutputBytes + $0.far.storedOutputBytes }.reduce(0, +)
        #expect(held == 1000 * (PacketOutput.maximumMessage + PaddingBytes.count))
        // What was lent lies with the thread, which lends it again: both ends of a pair had output at a time.
        #expect(OutputBlock.spareBlocks <= OutputBlock.maximumSpareBlocks)
        withExtendedLifetime(pairs) {}
    }

    @Test func anEngineThatLoggedInHoldsNoOutput() throws {
        let ends = try NativeEnds(NativeSettings(), NativeAuthority())
        let pair = Pair(ends.client, ends.server)
        #expect(pair.near.storedOutputBytes == PacketOutput.maximumMessage + PaddingBytes.count)
        #expect(pair.far.storedOutputBytes == PacketOutput.maximumMessage + PaddingBytes.count)
        let channel = try pair.openChannel()
        #expect(try pair.commit(channel, 1000) == 1000)
        #expect(pair.near.storedOutputBytes == PacketOutput.maximumMessage + PaddingBytes.count + OutputBlock.capacity)
        try pair.settle()
        #expect(pair.received == 1000)
        #expect(pair.near.storedOutputBytes == PacketOutput.maximumMessage + PaddingBytes.count)
    }

    /// A socket that had nothing to read: what was reserved for it is not kept.
    @Test func whatIsReservedInVainIsGivenBack() throws {
        let pair = nullPair()
        let channel = try pair.openChannel()
        #expect(pair.near.reserve(channel, maximum: 1000).totalLength == 1000)
        #expect(pair.near.storedOutputBytes == PacketOutput.maximumMessage + PaddingBytes.count + OutputBlock.capacity)
        try pair.near.commit(channel, count: 0)
        #expect(pair.near.storedOutputBytes == PacketOutput.maximumMessage + PaddingBytes.count)
        // With something before it, it stays.
        #expect(try pair.commit(channel, 10) == 10)
        #expect(pair.near.reserve(channel, maximum: 1000).totalLength == 1000)
        try pair.near.commit(channel, count: 0)
        try pair.settle()
        #expect(pair.received == 10)
    }

    /// A thread keeps a few blocks and no more; what is in use is nobody else's.
    @Test func aThreadKeepsAFew() throws {
        let count = 3 * OutputBlock.maximumSpareBlocks
        var pairs: [Pair<NullCipherEngine>] = []
        var channels: [ChannelNumber] = []
        for _ in 0..<count {
            let pair = nullPair()
            channels.append(try pair.openChannel())
            pairs.append(pair)
        }
        for round in 1...3 {
            for (pair, channel) in zip(pairs, channels) { #expect(try pair.commit(channel, 100) == 100) }
            let places = Set(pairs.map { Int(bitPattern: $0.near.output.baseAddress) })
            #expect(places.count == count && OutputBlock.spareBlocks == 0)
            for pair in pairs {
                try pair.settle()
                #expect(pair.received == round * 100)
            }
            #expect(OutputBlock.spareBlocks == OutputBlock.maximumSpareBlocks)
        }
    }
}
