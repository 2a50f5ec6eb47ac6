internal import Scenario

/// A thousand full packets are counted off the peer's window, and the credit for them comes as it would from a peer.
private struct SendRound: ~Copyable, Round {
    private static let credit: UInt32 = 256 * 1024
    private var window = SendWindow(available: 2 << 20, maximumPacket: 32768)

    mutating func run() {
        for _ in 0..<1000 {
            window.spend(window.packet)
            if window.available < 1 << 20 {
                guard window.add(Self.credit) == .added else { giveUp("a window was used up or overflowed") }
            }
        }
    }
}

/// A thousand full packets come, a socket takes each, and the peer is told when it is worth a packet.
private struct ReceiveRound: ~Copyable, Round {
    private static let packet = 32768
    private var window = ReceiveWindow(size: 256 * 1024)

    mutating func run() {
        var granted: UInt32 = 0
        for _ in 0..<1000 {
            guard window.receive(Self.packet) == .taken else { giveUp("a peer is told too little") }
            window.credit(Self.packet)
            if window.owesAdjust(packet: UInt32(Self.packet)) { granted &+= window.takeAdjust(cap: 1 << 20) }
        }
        guard granted > 0 else { giveUp("a peer is told nothing") }
    }
}

let windows = [
    Scenario("window-send-1000") { SendRound() }, Scenario("window-receive-1000") { ReceiveRound() },
]
