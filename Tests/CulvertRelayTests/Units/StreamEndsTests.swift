import Testing

@testable import CulvertRelay

/// Half-close as a table, by every way through it that a socket and a channel can take.
@Suite struct StreamEndsTests {
    /// What can happen to a flow, as its worker tells it.
    private enum Move: CaseIterable {
        case sourceFinished, sourceFailed, peerEnded, peerClosed, sinkShut, sinkFailed
    }

    /// A flow on its way, and what its far side was told.
    private struct Walk: Hashable {
        var ends = StreamEnds()
        var saidEOF = false

        func isOver(owing: Bool) -> Bool {
            if case .end = ends.step(owesNothing: !owing) { return true }
            return false
        }

        /// The walk after that move, nil where it cannot happen. `owing`: payload of the channel's still waits for the
        /// socket; both are tried at each step.
        func after(_ move: Move, owing: Bool) -> Walk? {
            var next = self
            switch move {
            // The socket is read only as long as what it says can be sent.
            case .sourceFinished:
                guard ends.reads else { return nil }
                if next.ends.sourceFinished() {
                    // Twice would be two EOFs on one channel (RFC 4254 §5.3).
                    precondition(!saidEOF, "EOF is said once")
                    next.saidEOF = true
                }
            case .sourceFailed:
                guard ends.reads else { return nil }
                next.ends.sourceFailed()
            // CLOSE is the channel's last word, and EOF is said once.
            case .peerEnded:
                guard ends.peer == .sending else { return nil }
                next.ends.peerEnded()
            case .peerClosed:
                guard ends.peer != .closed else { return nil }
                next.ends.peerClosed()
            case .sinkShut:
                guard ends.step(owesNothing: !owing) == .shutSink else { return nil }
                next.ends.sinkWasShut()
            case .sinkFailed:
                guard ends.sink != .failed else { return nil }
                next.ends.sinkFailed()
            }
            return next
        }
    }

    /// Every walk that is not over yet, and every one that has just come to its end.
    private static let all: Set<Walk> = {
        var found: Set<Walk> = [Walk()]
        var open = [Walk()]
        while let walk = open.popLast() {
            for owing in [false, true] where !walk.isOver(owing: owing) {
                for move in Move.allCases {
                    if let next = walk.after(move, owing: owing), found.insert(next).inserted { open.append(next) }
                }
            }
        }
        return found
    }()

    private static func name(_ ends: StreamEnds) -> String { "\(ends.source) \(ends.peer) \(ends.sink)" }

    /// The table: what is to be done while something is owed, and when nothing is.
    private static let table: [String: (owing: StreamEnds.Step, whole: StreamEnds.Step)] = {
        let goesOn = (StreamEnds.Step.goOn, StreamEnds.Step.goOn)
        let shuts = (StreamEnds.Step.goOn, StreamEnds.Step.shutSink)
        let whole = (StreamEnds.Step.end(whole: true), StreamEnds.Step.end(whole: true))
        let cut = (StreamEnds.Step.end(whole: false), StreamEnds.Step.end(whole: false))
        return [
            "sending sending open": goesOn, "sending sending failed": goesOn,
            "sending ended open": shuts, "sending ended shut": goesOn, "sending ended failed": goesOn,
            "sending closed open": shuts, "sending closed shut": whole, "sending closed failed": cut,
            "finished sending open": goesOn, "finished sending failed": cut,
            "finished ended open": shuts, "finished ended shut": whole, "finished ended failed": cut,
            "finished closed open": shuts, "finished closed shut": whole, "finished closed failed": cut,
            "failed sending open": cut, "failed sending failed": cut,
            "failed ended open": cut, "failed ended shut": cut, "failed ended failed": cut,
        ]
    }()

    @Test func whatCanBeReachedIsTheTable() {
        let reached = Set(Self.all.map { Self.name($0.ends) })
        #expect(reached == Set(Self.table.keys), "\(reached.symmetricDifference(Self.table.keys))")
        for walk in Self.all {
            guard let row = Self.table[Self.name(walk.ends)] else { continue }
            #expect(walk.ends.step(owesNothing: false) == row.owing, "\(Self.name(walk.ends)), owing")
            #expect(walk.ends.step(owesNothing: true) == row.whole, "\(Self.name(walk.ends)), owing nothing")
        }
    }

    /// The FIN that a shut sink sends says that all is delivered.
    @Test func noFINBeforeThePeerHasEndedAndAllIsWritten() {
        for walk in Self.all {
            #expect(walk.ends.sink != .shut || walk.ends.peer != .sending, "\(walk)")
            #expect(walk.ends.step(owesNothing: false) != .shutSink, "\(walk)")
            if walk.ends.step(owesNothing: true) == .shutSink {
                #expect(walk.ends.peer != .sending && walk.ends.sink == .open, "\(walk)")
            }
        }
    }

    /// EOF says the same on the channel: not after a failed send, whatever the socket says then, nor after CLOSE.
    @Test func noEOFAfterAFailedSendOrACLOSE() {
        for walk in Self.all where walk.ends.reads {
            var next = walk.ends
            let says = next.sourceFinished()
            #expect(says == (walk.ends.sink != .failed), "\(walk)")
            #expect(!walk.saidEOF, "a stream that is still read has not said its end")
            #expect(!next.reads, "nothing is read behind the end")
            let again = next.sourceFinished()
            #expect(!again, "the end is said once")
        }
        for walk in Self.all where walk.ends.source == .failed { #expect(!walk.saidEOF, "\(walk)") }
        for walk in Self.all where walk.ends.peer == .closed { #expect(!walk.ends.reads, "\(walk)") }
    }

    /// An end is whole exactly where a sink was shut; what is over stays over, and nobody is told twice.
    @Test func anEndIsOneEnd() {
        for walk in Self.all {
            for owing in [false, true] {
                guard case .end(let whole) = walk.ends.step(owesNothing: !owing) else { continue }
                #expect(!whole || walk.ends.sink == .shut, "\(walk)")
                #expect(!whole || walk.ends.peerIsWhole, "\(walk)")
                for move in Move.allCases {
                    guard let next = walk.after(move, owing: owing) else { continue }
                    #expect(next.isOver(owing: false) && next.isOver(owing: true), "\(walk) after \(move)")
                    #expect(next.saidEOF == walk.saidEOF || move == .sourceFinished, "\(walk) after \(move)")
                }
            }
        }
    }

    @Test func everyStateHasAWayToAnEnd() {
        // Backwards from the ends, until nothing is added.
        var ending = Self.all.filter { $0.isOver(owing: false) }
        var grew = true
        while grew {
            grew = false
            for walk in Self.all where !ending.contains(walk) {
                let leads = Move.allCases.contains { move in
                    walk.after(move, owing: false).map { ending.contains($0) } ?? false
                }
                if leads { grew = ending.insert(walk).inserted || grew }
            }
        }
        #expect(ending == Self.all)
        // Nothing but the socket and the channel is needed for it: each of the two directions ends by itself.
        for walk in Self.all where walk.ends.source == .sending && !walk.isOver(owing: false) {
            var next = walk.ends
            next.peerClosed()
            if next.step(owesNothing: true) == .shutSink { next.sinkWasShut() }
            guard case .end = next.step(owesNothing: true) else {
                Issue.record("\(walk) does not end by CLOSE")
                continue
            }
        }
    }

    /// What its peer has sent whole stays deliverable until the socket itself is at fault.
    @Test func onlyTheSocketsOwnFaultEndsAWholeDelivery() {
        for walk in Self.all where walk.ends.peerIsWhole {
            for move in Move.allCases {
                guard let next = walk.after(move, owing: true), !next.ends.peerIsWhole else { continue }
                #expect(move == .sinkFailed || move == .sourceFailed, "\(walk) after \(move)")
            }
        }
        for walk in Self.all where walk.ends.peer == .sending { #expect(!walk.ends.peerIsWhole, "\(walk)") }
    }
}
