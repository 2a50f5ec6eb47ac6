import CulvertIO
import CulvertPlan
import CulvertSSH
import Testing

@testable import CulvertRelay

/// Connections that wait for a link, and reverse forwards that wait for the server.
@Suite struct WaitingListsTests {
    private static func at(_ seconds: Double) -> Tick { Tick(nanoseconds: 1_000_000_000) + .seconds(seconds) }

    private static func connection(_ descriptor: Descriptor, _ arrival: Arrival) -> IncomingConnection {
        IncomingConnection(descriptor, forward: 0, peer: SocketAddress(), arrival: arrival)
    }

    // MARK: HeldConnections

    @Test func heldConnectionsAreServedAsTheyCame() {
        var held = HeldConnections()
        var arrivals: [Arrival] = []
        // Some at the same moment: those have numbers.
        for number in 0..<10 { arrivals.append(held.nextArrival(Self.at(Double(number / 3)))) }
        #expect(arrivals == arrivals.sorted() && Set(arrivals).count == 10)
        // They come to be held in another order: what lost its link stood before what never had one.
        for number in [5, 6, 9, 0, 3, 1, 8, 2, 7, 4] {
            held.add(Self.connection(Descriptor(number), arrivals[number]), expires: Self.at(40))
        }
        #expect(held.list.map(\.connection.descriptor) == (0..<10).map { Descriptor($0) })
        #expect(held.takeFirst()?.descriptor == 0)
        // It came back at once: it is the first again.
        held.add(Self.connection(0, arrivals[0]), expires: Self.at(40))
        #expect(held.takeFirst()?.descriptor == 0)
        #expect(held.takeFirst()?.descriptor == 1)
        #expect(held.count == 8 && !held.isEmpty)
        let rest = held.takeAll()
        #expect(rest.map(\.connection.descriptor) == (2..<10).map { Descriptor($0) })
        #expect(held.isEmpty)
        let none = held.takeFirst()
        #expect(none == nil)
    }

    @Test func thoseThatAreTakenOutLeaveTheOthersInOrder() {
        var held = HeldConnections()
        for number in 0..<6 {
            let arrival = held.nextArrival(Self.at(Double(number)))
            held.add(Self.connection(Descriptor(number), arrival), expires: Self.at(number.isMultiple(of: 2) ? 10 : 20))
        }
        let expired = held.take { $0.expires <= Self.at(10) }
        #expect(expired.map(\.connection.descriptor) == [0, 2, 4])
        #expect(held.list.map(\.connection.descriptor) == [1, 3, 5])
        let none = held.take { _ in false }
        #expect(none.isEmpty)
        #expect(held.count == 3)
    }

    // MARK: ReverseForwards

    private static let listens: [ReverseForward.Listen] = [
        .tcp(address: "localhost", port: 7000), .tcp(address: "192.0.2.7", port: 7000), .unix(path: "/run/x"),
        .tcp(address: "localhost", port: 0),
    ]

    private static func request(_ address: String, _ port: UInt16) -> ChannelOpenRequest {
        .forwardedTCPIP(address: address, port: port, originator: "127.0.0.1", originatorPort: 9)
    }

    @Test func anAnswerIsAboutWhatWasAsked() {
        var reverse = ReverseForwards()
        reverse.wasAsked(0, ForwardNumber(5), port: 7000)
        reverse.wasAsked(2, ForwardNumber(6), port: 0)
        #expect(reverse.answered(ForwardNumber(7)) == nil, "nobody asked")
        #expect(reverse.answered(ForwardNumber(6))?.forward == 2)
        #expect(reverse.answered(ForwardNumber(6)) == nil, "an answer comes once")
        #expect(reverse.answered(ForwardNumber(5))?.forward == 0)
        #expect(reverse.standing.isEmpty, "an answer may be a refusal")
    }

    @Test func aChannelBelongsToTheForwardOfItsPortAndAddress() {
        var reverse = ReverseForwards()
        func forward(_ request: ChannelOpenRequest) -> ReverseID? {
            reverse.forward(of: request, listens: { Self.listens[$0.index] })
        }
        #expect(forward(Self.request("localhost", 7000)) == nil, "nothing stands yet")
        reverse.stands(0, ForwardNumber(0), port: 7000)
        reverse.stands(1, ForwardNumber(1), port: 7000)
        reverse.stands(2, ForwardNumber(2), port: 0)
        reverse.stands(3, ForwardNumber(3), port: 41_000)
        #expect(forward(Self.request("localhost", 7000)) == 0)
        #expect(forward(Self.request("192.0.2.7", 7000)) == 1)
        #expect(forward(Self.request("::1", 7000)) == 0, "the address as the server understood it: the port decides")
        #expect(forward(Self.request("localhost", 41_000)) == 3, "the port that the server chose")
        #expect(forward(Self.request("localhost", 0)) == nil)
        #expect(forward(Self.request("localhost", 7001)) == nil)
        #expect(forward(.forwardedStreamLocal(path: "/run/x")) == 2)
        #expect(forward(.forwardedStreamLocal(path: "/run/y")) == nil)
        #expect(forward(.directStreamLocal(path: "/run/x")) == nil, "a server opens no direct channels here")
    }

    /// Many servers listen first and answer then.
    @Test func aChannelMayComeBeforeTheAnswer() {
        var reverse = ReverseForwards()
        func forward(_ address: String, _ port: UInt16) -> ReverseID? {
            reverse.forward(of: Self.request(address, port), listens: { Self.listens[$0.index] })
        }
        reverse.wasAsked(0, ForwardNumber(0), port: 7000)
        reverse.wasAsked(1, ForwardNumber(1), port: 7000)
        reverse.wasAsked(2, ForwardNumber(2), port: 0)
        #expect(forward("localhost", 7000) == 0 && forward("192.0.2.7", 7000) == 1)
        #expect(forward("localhost", 41_000) == nil, "nobody left the port to the server")
        #expect(
            reverse.forward(of: .forwardedStreamLocal(path: "/run/x"), listens: { Self.listens[$0.index] }) == 2)
        reverse.wasAsked(3, ForwardNumber(3), port: 0)
        #expect(forward("localhost", 41_000) == 3 && forward("localhost", 0) == nil)
        reverse.wasAsked(3, ForwardNumber(4), port: 0)
        #expect(forward("localhost", 41_000) == nil, "either of two may be meant")
        _ = reverse.answered(ForwardNumber(0))
        #expect(forward("localhost", 7000) == 1, "refused: the other one has that port")
    }

    /// Asked for again more and more seldom, until it stands: an old session of ours may hold the port for a while.
    @Test func aRefusedForwardIsAskedForAgain() {
        var reverse = ReverseForwards()
        var now = 0.0
        for wait in [1.0, 2, 4, 8, 16, 30, 30, 30] {
            let due = reverse.wasRefused(4, now: Self.at(now))
            #expect(due == Self.at(now + wait))
            #expect(reverse.nextDue == due)
            #expect(reverse.takeDue(Self.at(now + wait - 0.1)) == [])
            now += wait
            #expect(reverse.takeDue(Self.at(now)) == [4])
            #expect(reverse.takeDue(Self.at(now)) == [], "named once until its answer comes")
            #expect(reverse.nextDue == nil)
        }
        reverse.stands(4, ForwardNumber(9), port: 7000)
        #expect(reverse.wasRefused(4, now: Self.at(now)) == Self.at(now + 1), "one that stood begins anew")
    }

    @Test func retiringCancelsWhatStandsAndAsksForNothing() {
        var reverse = ReverseForwards()
        reverse.stands(0, ForwardNumber(3), port: 7000)
        reverse.stands(2, ForwardNumber(4), port: 0)
        _ = reverse.wasRefused(1, now: Self.at(0))
        reverse.wasAsked(3, ForwardNumber(5), port: 0)
        #expect(reverse.retire() == [ForwardNumber(3), ForwardNumber(4)])
        #expect(reverse.retire() == [])
        #expect(reverse.standing.isEmpty && reverse.nextDue == nil)
        #expect(reverse.takeDue(Self.at(100)) == [])
        #expect(reverse.forward(of: Self.request("localhost", 7000), listens: { Self.listens[$0.index] }) == nil)
        let late = reverse.answered(ForwardNumber(5))
        #expect(late?.forward == 3, "what was asked before is answered, and cancelled by its number")
    }
}
