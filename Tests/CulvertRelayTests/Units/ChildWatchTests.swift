import CulvertIO
import Testing

@testable import CulvertRelay

/// A child that hangs is found within a minute, and one that lives is left alone whatever the parent went through.
@Suite struct ChildWatchTests {
    private static func tick(_ seconds: Double) -> Tick { Tick(nanoseconds: 1_000_000_000) + .seconds(seconds) }

    /// Every voice of a child with two workers.
    private static let voices: [ChildVoice] = [.first, .worker(WorkerID(0)), .worker(WorkerID(1))]

    @Test("it asks every 10 s, and waits 30 s for each voice", arguments: voices)
    func oneVoice(_ silent: ChildVoice) {
        var watch = ChildWatch(workers: 2, now: Self.tick(0))
        #expect(watch.nextMoment == Self.tick(5))
        #expect(watch.look(Self.tick(5)) == .nothing)
        #expect(watch.look(Self.tick(9)) == .nothing)
        #expect(watch.nextMoment == Self.tick(10))
        #expect(watch.look(Self.tick(10)) == .ask)
        for voice in Self.voices { watch.answered(voice) }
        for second in [15.0, 19] { #expect(watch.look(Self.tick(second)) == .nothing) }
        #expect(watch.look(Self.tick(20)) == .ask)
        for voice in Self.voices where voice != silent { watch.answered(voice) }
        for second in stride(from: 25.0, to: 50, by: 5) { #expect(watch.look(Self.tick(second)) == .nothing) }
        #expect(watch.nextMoment == Self.tick(50))
        var late = watch
        #expect(watch.look(Self.tick(50)) == .hangs)
        late.answered(silent)
        #expect(late.look(Self.tick(50)) == .ask)
    }

    @Test("an answer that nobody waits for is none")
    func unasked() {
        var watch = ChildWatch(workers: 1, now: Self.tick(0))
        for voice in Self.voices { watch.answered(voice) }
        for second in [5.0, 10, 15, 20, 25, 30, 35] {
            #expect(watch.look(Self.tick(second)) == (second == 10 ? .ask : .nothing))
        }
        #expect(watch.look(Self.tick(40)) == .hangs)
    }

    @Test("a look that comes late says nothing of the child")
    func late() {
        var watch = ChildWatch(workers: 1, now: Self.tick(0))
        // Asleep for an hour: 5 s of it count.
        #expect(watch.look(Self.tick(3600)) == .nothing)
        #expect(watch.look(Self.tick(3605)) == .ask)
        #expect(watch.look(Self.tick(7200)) == .nothing)
        for second in stride(from: 7205.0, to: 7225, by: 5) { #expect(watch.look(Self.tick(second)) == .nothing) }
        #expect(watch.look(Self.tick(7225)) == .hangs)
    }

    /// A parent that now and then does not run, and a child that answers after some of the parent's time, or hangs from some
    /// moment on.
    private struct Scene {
        var random: Dice
        var now = 0.0
        /// The parent's own time: what passes while it does not run is not in it.
        var run = 0.0
        var watch = ChildWatch(workers: 2, now: ChildWatchTests.tick(0))
        var answers: [(moment: Double, voice: ChildVoice)] = []

        init(seed: UInt64) { random = Dice(seed: seed) }

        mutating func pass(frozen: ClosedRange<Double>) {
            let next = Double((watch.nextMoment - ChildWatchTests.tick(0)).nanoseconds) / 1e9
            // Something wakes it earlier, or it gets its turn a little later.
            let step =
                Double.random(in: 0...1, using: &random) < 0.5
                ? Double.random(in: 0...1, using: &random) * max(0, next - now)
                : max(0, next - now) + Double.random(in: 0...0.1, using: &random)
            now += step
            run += step
            if Double.random(in: 0...1, using: &random) < 0.1 { now += Double.random(in: frozen, using: &random) }
        }

        /// What is heard before the look, then the look.
        mutating func look() -> ChildWatch.Step {
            for each in answers where each.moment <= run { watch.answered(each.voice) }
            answers.removeAll { $0.moment <= run }
            return watch.look(ChildWatchTests.tick(now))
        }
    }

    @Test("a child that answers within 20 s of its parent's time is never ended", arguments: 0..<50)
    func lives(_ seed: Int) {
        var scene = Scene(seed: UInt64(seed))
        var asked = 0
        while scene.run < 3600 {
            scene.pass(frozen: 0...600)
            switch scene.look() {
            case .nothing: break
            case .ask:
                asked += 1
                for voice in ChildWatchTests.voices {
                    scene.answers.append((scene.run + Double.random(in: 0...20, using: &scene.random), voice))
                }
            case .hangs: Issue.record("it was ended after \(scene.run) s")
            }
        }
        #expect((110...360).contains(asked), "\(asked)")
    }

    @Test("one that hangs is ended within 45 s of its parent's time, and none before it hangs", arguments: 0..<50)
    func hangs(_ seed: Int) {
        var scene = Scene(seed: UInt64(seed))
        let end = Double.random(in: 0...300, using: &scene.random)
        let silent = ChildWatchTests.voices[seed % 3]
        while scene.run < 400 {
            scene.pass(frozen: 0...600)
            switch scene.look() {
            case .nothing: break
            case .ask:
                for voice in ChildWatchTests.voices where scene.run < end || voice != silent {
                    scene.answers.append((scene.run, voice))
                }
            case .hangs:
                // What was frozen counts for 5 s at most, each time.
                #expect((end...end + 45).contains(scene.run), "hangs since \(end), ended at \(scene.run)")
                return
            }
        }
        Issue.record("it hangs since \(end) and was not ended")
    }

    @Test("a snapshot that a child began waits for the other parts, and has all when it dies")
    func parts() {
        var owed = OwedParts()
        func came(_ worker: Int) -> Bool { owed.came(from: WorkerID(worker)) }
        func lost() -> [Int] { owed.lost().map(\.number) }
        #expect(!came(0), "nobody asked")
        owed.asked(of: 3)
        #expect(came(1))
        #expect(!came(1), "twice")
        #expect(lost() == [0, 2])
        #expect(lost().isEmpty)
        owed.asked(of: 1)
        #expect(came(0))
        #expect(lost().isEmpty)
    }
}
