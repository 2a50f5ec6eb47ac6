internal import CulvertIO
internal import Scenario

/// A thousand timers, set in no order, come due.
private struct TimerRound: ~Copyable, Round {
    private static let count = 1000
    private var queue = TimerQueue()

    mutating func run() {
        for index in 0..<Self.count {
            queue.add(
                Tick(nanoseconds: UInt64(index * 7 % Self.count)), Token(operation: 1, slot: index, generation: 1))
        }
        var taken = 0
        while queue.takeDue(Tick(nanoseconds: UInt64(Self.count))) != nil { taken += 1 }
        guard taken == Self.count else { giveUp("a timer was lost") }
    }
}

let timers = [Scenario("timers-1000") { TimerRound() }]
