import Testing

@testable import CulvertSSH

@Suite struct WindowTests {
    @Test func aSendWindowSpendsAndGrowsUpToItsLastValue() {
        var window = SendWindow(available: 10, maximumPacket: 300)
        #expect(window.packet == 300)
        window.spend(10)
        #expect(window.available == 0)
        #expect(window.add(0) == .added)
        #expect(window.add(5) == .reopened)
        #expect(window.add(UInt32.max - 5) == .added)
        #expect(window.available == UInt32.max)
        #expect(window.add(1) == .tooMuch)
        #expect(window.available == UInt32.max)
    }

    @Test func aPeersGreatPacketIsNotUsed() {
        #expect(SendWindow(available: 0, maximumPacket: UInt32.max).packet == 32768)
    }

    private let grace = Int(ReceiveWindow.minimumGrace)

    @Test(arguments: [1000, 256 << 10, 2 << 20, 15 << 20] as [UInt32])
    func aLittleTooMuchIsADebt(_ size: UInt32) {
        var window = ReceiveWindow(size: size)
        let most = max(grace, Int(size) / 10)
        #expect(window.receive(Int(size) + most + 1) == .tooMuch)
        #expect(window.held == 0 && window.debt == 0 && window.peerView == size)
        #expect(window.receive(Int(size) - 1) == .taken)
        #expect(window.debt == 0 && window.peerView == 1)
        #expect(window.receive(2) == .taken)
        #expect(window.debt == 1 && window.peerView == 0)
        #expect(window.receive(most) == .tooMuch)
        #expect(window.receive(most - 1) == .taken)
        #expect(window.receive(1) == .tooMuch)
        window.invariants()
    }

    /// Nothing is granted before what lies unread is a window's worth; then the debt is granted with the rest.
    @Test func aDebtIsWorkedOffFirst() {
        var window = ReceiveWindow(size: 256 << 10)
        #expect(window.receive((256 << 10) + 100_000) == .taken)
        window.credit(99_999)
        #expect(!window.owesAdjust(packet: 32768))
        window.credit(1)
        #expect(window.owesAdjust(packet: 32768))
        #expect(window.takeAdjust(cap: 0) == 100_000)
        #expect(window.debt == 0 && window.extra == 100_000 && window.peerView == 100_000)
        window.credit(256 << 10)
        #expect(window.takeAdjust(cap: 0) == 256 << 10)
        #expect(window.size == 256 << 10 && window.peerView == (256 << 10) + 100_000)
        window.invariants()
    }

    /// How a peer counts what it sends beyond its window.
    enum Count: CaseIterable {
        /// Below zero: it waits until more than that has been granted.
        case signed
        /// To zero: what was too much is forgotten.
        case clamped
    }

    /// A peer that sends a packet whenever its window is not used up, to a reader that takes all or is a little late:
    /// whichever way it counts, it never waits for ever, and never has much more under way than it was let.
    @Test(arguments: Count.allCases, [64 << 10, 256 << 10, 2 << 20] as [UInt32])
    func aPeerThatSendsAPacketTooManyGoesOn(_ count: Count, _ size: UInt32) throws {
        for seed in 0..<20 as Range<UInt64> {
            var random = SplitMix(seed)
            var window = ReceiveWindow(size: size)
            var view = Int(size)
            var moved = 0
            while moved < 20 << 20 {
                while view > 0 {
                    try #require(window.receive(32768) == .taken, "\(moved)")
                    view -= 32768
                    moved += 32768
                    if count == .clamped { view = max(0, view) }
                }
                let held = Int(window.held)
                #expect(held > 0 || window.drained > 0)
                window.credit(Bool.random(using: &random) ? held : Int.random(in: 0...held, using: &random))
                if window.owesAdjust(packet: 32768) { view += Int(window.takeAdjust(cap: 0)) }
                window.invariants()
                // All is read: a peer that waits is told.
                if window.held == 0 { try #require(view > 0, "it waits for ever") }
            }
        }
    }

    /// One that goes beyond without ever waiting for its window is not followed for ever.
    @Test func debtsAreFollowedToALimit() {
        var window = ReceiveWindow(size: 256 << 10)
        var rounds = 0
        var view = 256 << 10
        while rounds < 1000, window.receive(view + grace) == .taken {
            window.credit(Int(window.held))
            view = Int(window.takeAdjust(cap: 0))
            window.invariants()
            rounds += 1
        }
        #expect(rounds > Int(ReceiveWindow.maximumExtra) / grace && rounds < 100)
        #expect(window.extra == ReceiveWindow.maximumExtra)
    }

    /// The peer is told of an eighth of the window, and of less only when it cannot send a packet.
    @Test func creditIsGatheredToAnEighth() throws {
        var window = ReceiveWindow(size: 1 << 20)
        #expect(window.receive(200_000) == .taken)
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
        #expect(window.receive(100_000) == .taken)
        window.credit(65535)
        #expect(!window.owesAdjust(packet: 32768))
        window.credit(1)
        #expect(window.owesAdjust(packet: 32768))
    }

    @Test func aPeerThatCannotSendAPacketIsToldAtOnce() throws {
        var window = ReceiveWindow(size: 256 * 1024)
        #expect(window.receive(256 * 1024 - 32767) == .taken)
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
            #expect(window.receive(32768) == .taken)
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
        #expect(window.receive(80_000) == .taken)
        for _ in 0..<1000 {
            #expect(window.receive(20_000) == .taken)
            window.credit(20_000)
            if window.owesAdjust(packet: 32768) { _ = window.takeAdjust(cap: 15 << 20) }
        }
        #expect(window.size == 256 * 1024)
    }

    @Test func growthCanBeForbidden() throws {
        var window = ReceiveWindow(size: 64 * 1024)
        for _ in 0..<1000 {
            #expect(window.receive(30_000) == .taken)
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
