import Testing

@testable import CulvertSSH

@Suite struct WindowTests {
    @Test func aSendWindowSpendsAndGrowsUpToItsLastValue() throws {
        var window = SendWindow(available: 10, maximumPacket: 300)
        #expect(window.packet == 300)
        window.spend(10)
        #expect(window.available == 0)
        #expect(try !window.add(0))
        #expect(try window.add(5))
        #expect(try !window.add(UInt32.max - 5))
        #expect(window.available == UInt32.max)
        let error = #expect(throws: SSHError.self) { try window.add(1) }
        #expect(error?.kind == .protocolViolation)
        #expect(window.available == UInt32.max)
    }

    @Test func aPeersGreatPacketIsNotUsed() {
        #expect(SendWindow(available: 0, maximumPacket: UInt32.max).packet == 32768)
    }

    @Test func oneByteTooManyThrows() throws {
        var window = ReceiveWindow(size: 1000)
        try window.receive(999)
        #expect(throws: SSHError.self) { try window.receive(2) }
        try window.receive(1)
        #expect(throws: SSHError.self) { try window.receive(1) }
        window.invariants()
    }

    /// The peer is told of an eighth of the window, and of less only when it cannot send a packet.
    @Test func creditIsGatheredToAnEighth() throws {
        var window = ReceiveWindow(size: 1 << 20)
        try window.receive(200_000)
        window.credit(131_071)
        #expect(!window.owesAdjust(packet: 32768))
        window.credit(1)
        #expect(window.owesAdjust(packet: 32768))
        #expect(window.takeAdjust(cap: 0) == 131_072)
        #expect(!window.owesAdjust(packet: 32768))
        #expect(window.peerView == (1 << 20) - 200_000 + 131_072)
        window.invariants()
    }

    @Test func aSmallWindowIsToldOfSixtyFourKiB() throws {
        var window = ReceiveWindow(size: 256 * 1024)
        try window.receive(100_000)
        window.credit(65535)
        #expect(!window.owesAdjust(packet: 32768))
        window.credit(1)
        #expect(window.owesAdjust(packet: 32768))
    }

    @Test func aPeerThatCannotSendAPacketIsToldAtOnce() throws {
        var window = ReceiveWindow(size: 256 * 1024)
        try window.receive(256 * 1024 - 32767)
        #expect(!window.owesAdjust(packet: 32768))
        window.credit(1)
        #expect(window.owesAdjust(packet: 32768))
        #expect(window.takeAdjust(cap: 0) == 1)
    }

    @Test func aWindowThatIsUsedDoublesUpToItsCap() throws {
        let cap: UInt32 = 15 << 20
        var window = ReceiveWindow(size: 256 * 1024)
        var sizes: [UInt32] = [window.size]
        var moved = 0
        while window.size < cap {
            try window.receive(32768)
            window.credit(32768)
            moved += 32768
            if window.owesAdjust(packet: 32768) { _ = window.takeAdjust(cap: cap) }
            if window.size != sizes.last { sizes.append(window.size) }
            window.invariants()
            try #require(moved < 64 << 20)
        }
        #expect(sizes == [1, 2, 4, 8, 16, 32].map { $0 * 256 * 1024 } + [cap])
        #expect(window.peerView <= cap)
    }

    @Test func aSlowReadersWindowStays() throws {
        var window = ReceiveWindow(size: 256 * 1024)
        // It lags by more than a quarter of the window.
        try window.receive(80_000)
        for _ in 0..<1000 {
            try window.receive(20_000)
            window.credit(20_000)
            if window.owesAdjust(packet: 32768) { _ = window.takeAdjust(cap: 15 << 20) }
        }
        #expect(window.size == 256 * 1024)
    }

    @Test func growthCanBeForbidden() throws {
        var window = ReceiveWindow(size: 64 * 1024)
        for _ in 0..<1000 {
            try window.receive(30_000)
            window.credit(30_000)
            if window.owesAdjust(packet: 32768) { _ = window.takeAdjust(cap: 0) }
        }
        #expect(window.size == 64 * 1024)
    }

    @Test func creditForWhatNeverCameIsOurFault() async {
        await #expect(processExitsWith: .failure) {
            var window = ReceiveWindow(size: 1000)
            window.credit(1)
        }
    }

    @Test func numbersAreReusedLatestFirstAndTheTableGrows() {
        var table = ChannelTable()
        let numbers = (0..<100).map { _ in table.insert(.open) }
        #expect(numbers.map(\.index) == Array(0..<100))
        table.remove(numbers[3])
        table.remove(numbers[90])
        #expect(table.number(3) == nil && table.number(90) == nil && table.number(100) == nil)
        #expect(table.number(UInt32.max) == nil)
        table.invariants()
        #expect(table.insert(.open).index == 90)
        #expect(table.insert(.open).index == 3)
        #expect(table.insert(.open).index == 100)
        table.invariants()
    }

    /// A number that is freed and used again while it stands in the list of owing channels is there once.
    @Test func anOwingNumberThatIsReusedIsListedOnce() {
        var table = ChannelTable()
        let first = table.insert(.open)
        let second = table.insert(.open)
        table.appendOwing(first)
        table.appendOwing(second)
        table.remove(first)
        #expect(table.insert(.open) == first)
        table.appendOwing(first)
        #expect(table.removeFirstOwing() == first)
        #expect(table.removeFirstOwing() == second)
        #expect(table.removeFirstOwing() == nil)
        table.appendOwing(second)
        #expect(table.removeFirstOwing() == second)
    }
}
