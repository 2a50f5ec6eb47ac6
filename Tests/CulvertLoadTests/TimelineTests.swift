import CulvertIO
import Testing

@testable import culvert_load

@Suite struct TimelineTests {
    private func told(_ number: Int, answers: UInt64, latency: Int64? = nil) -> IntervalFigures {
        var latencies = Latencies()
        if let latency { latencies.record(nanoseconds: latency) }
        return IntervalFigures(
            number: number, start: Double(number), seconds: 1, figures: Figures(answers: answers),
            latencies: latencies)
    }

    @Test("an interval is complete when every thread has told it, and they come in order")
    func order() {
        var timeline = Timeline(threads: 2)
        timeline.add(told(0, answers: 1, latency: 10), from: 0)
        timeline.add(told(1, answers: 2), from: 0)
        #expect(timeline.takeComplete() == nil)
        timeline.add(told(0, answers: 10, latency: 1000), from: 1)
        let first = timeline.takeComplete()
        #expect(first?.figures.answers == 11 && first?.start == 0)
        #expect(first?.latencies.count == 2 && first?.latencies.longest == 1000)
        #expect(timeline.takeComplete() == nil)
    }

    @Test("a thread that has ended holds nothing up, and what it told is kept")
    func ended() {
        var timeline = Timeline(threads: 2)
        timeline.add(told(0, answers: 5), from: 1)
        timeline.end(1)
        for number in 0..<3 { timeline.add(told(number, answers: 1), from: 0) }
        #expect((0..<3).map { _ in timeline.takeComplete()?.figures.answers } == [6, 1, 1])
        timeline.end(0)
        #expect(timeline.takeComplete() == nil)
    }

    @Test("a thread's intervals lie end to end, and its sums are differences")
    func thread() {
        let begin = Tick(nanoseconds: 5_000_000_000)
        var timeline = ThreadTimeline(start: begin, length: .seconds(1), Figures(answers: 100))
        timeline.latencies.record(nanoseconds: 7)
        #expect(timeline.next == begin + .seconds(1))
        let first = timeline.take(until: timeline.next, Figures(answers: 130))
        let last = timeline.take(until: begin + .seconds(1.5), Figures(answers: 131))
        #expect(first.number == 0 && first.start == 0 && first.seconds == 1 && first.figures.answers == 30)
        #expect(last.number == 1 && last.start == 1 && last.seconds == 0.5 && last.figures.answers == 1)
        #expect(first.latencies.count == 1 && last.latencies.count == 0)
    }
}
