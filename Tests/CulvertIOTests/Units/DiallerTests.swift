import Testing

@testable import CulvertIO

@Suite struct DiallerTests {
    private func at(_ milliseconds: Int) -> Tick { Tick(nanoseconds: 1_000_000_000) + .milliseconds(milliseconds) }
    private let four = try! ["10.0.0.1", "10.0.0.2"].map {
        try SocketAddress.resolve(host: $0, port: 1, numeric: true)[0]
    }
    private let six = try! ["::1", "::2", "::3"].map {
        try SocketAddress.resolve(host: $0, port: 1, numeric: true)[0]
    }

    @Test func familiesTakeTurns() {
        #expect(Dialler.alternated(six + four) == [six[0], four[0], six[1], four[1], six[2]])
        #expect(Dialler.alternated(four + six) == [four[0], six[0], four[1], six[1], six[2]])
        #expect(Dialler.alternated([]) == [])
    }

    @Test func aSilentAddressHoldsUpTheNextForAQuarterOfASecond() {
        var dialler = Dialler(four, now: at(0), deadline: at(60_000), failure: 99)
        #expect(dialler.step(at(0)) == .connect(four[0]))
        #expect(dialler.step(at(0)) == .wait(until: at(250)))
        #expect(dialler.step(at(249)) == .wait(until: at(250)))
        #expect(dialler.step(at(250)) == .connect(four[1]))
        #expect(dialler.step(at(250)) == .wait(until: at(60_000)))
        #expect(dialler.step(at(60_000)) == .failed(110))
    }

    @Test func aRefusalMakesTheNextBeginAtOnceAndTheLastOneIsTheAnswer() {
        var dialler = Dialler(four, now: at(0), deadline: at(60_000), failure: 99)
        #expect(dialler.step(at(0)) == .connect(four[0]))
        dialler.attemptEnded(111, now: at(3))
        #expect(dialler.step(at(3)) == .connect(four[1]))
        #expect(dialler.step(at(4)) == .wait(until: at(60_000)))
        dialler.attemptEnded(113, now: at(5))
        #expect(dialler.step(at(5)) == .failed(113))
    }

    @Test func noAddressAtAllFailsAtOnce() {
        var dialler = Dialler([], now: at(0), deadline: at(60_000), failure: 99)
        #expect(dialler.step(at(0)) == .failed(99))
    }

    @Test func aRefusalBesideASilentAddressIsNoAnswer() {
        var dialler = Dialler(four, now: at(0), deadline: at(60_000), failure: 99)
        #expect(dialler.step(at(0)) == .connect(four[0]))
        #expect(dialler.step(at(250)) == .connect(four[1]))
        dialler.attemptEnded(111, now: at(260))
        #expect(dialler.step(at(260)) == .wait(until: at(60_000)), "the first may still answer")
    }

    @Test func aPathThatComesBackIsTriedAgainEverySecond() {
        var dialler = Dialler(four, now: at(0), deadline: at(60_000), renewal: .seconds(1), failure: 99)
        #expect(dialler.step(at(0)) == .connect(four[0]))
        #expect(dialler.step(at(250)) == .connect(four[1]))
        #expect(dialler.step(at(300)) == .wait(until: at(1250)))
        #expect(dialler.step(at(1250)) == .connect(four[0]))
        #expect(dialler.step(at(2250)) == .connect(four[1]))
        // Given up for its successors' sake: no news, and nothing begins sooner.
        dialler.attemptEnded(nil, now: at(2300))
        #expect(dialler.step(at(2300)) == .wait(until: at(3250)))
        for _ in 0..<3 { dialler.attemptEnded(111, now: at(2400)) }
        #expect(dialler.step(at(2400)) == .failed(111), "every one has said no")
    }

    // MARK: Leave to knock

    @Test func whereNoneMayBeKnockedAtTheDeadlineIsPutOff() {
        var dialler = Dialler(four, now: at(0), deadline: at(5000), renewal: .seconds(1), failure: 99)
        let soonest = dialler.step(at(0)) { .notBefore(self.at($0 == self.four[0] ? 9000 : 8000)) }
        #expect(soonest == .wait(until: at(8000)))
        // The deadline counts from the first attempt.
        #expect(dialler.step(at(8000)) == .connect(four[0]))
        #expect(dialler.step(at(8250)) { _ in .notBefore(self.at(20_000)) } == .wait(until: at(13_000)))
        #expect(dialler.step(at(13_000)) == .failed(110))
    }

    @Test func theOthersAreKnockedAtMeanwhile() {
        var dialler = Dialler(four, now: at(0), deadline: at(60_000), renewal: .seconds(1), failure: 99)
        let held: (SocketAddress) -> KnockAnswer = { $0 == self.four[0] ? .notBefore(self.at(900)) : .granted }
        #expect(dialler.step(at(0), mayKnock: held) == .connect(four[1]))
        #expect(dialler.step(at(250), mayKnock: held) == .wait(until: at(900)))
        #expect(dialler.step(at(900)) == .connect(four[0]))
        #expect(dialler.step(at(1900)) == .connect(four[1]), "the next round begins")
    }

    @Test func whatWasGivenUpIsNoAnswer() {
        var dialler = Dialler(four, now: at(0), deadline: at(60_000), renewal: .seconds(1), failure: 99)
        #expect(dialler.step(at(0)) == .connect(four[0]))
        #expect(dialler.step(at(250)) == .connect(four[1]))
        dialler.attemptEnded(111, now: at(300))
        dialler.attemptEnded(nil, now: at(900))
        #expect(dialler.step(at(900)) { _ in .notBefore(self.at(10_000)) } == .wait(until: at(10_000)))
        #expect(dialler.step(at(10_000)) == .connect(four[0]))
        dialler.attemptEnded(nil, now: at(10_900))
        #expect(dialler.step(at(60_000)) == .failed(110), "nobody has answered")
    }
}
