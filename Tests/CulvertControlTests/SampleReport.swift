import CulvertIO

@testable import CulvertRelay

extension TunnelReport {
    /// With something of everything.
    static let sample: TunnelReport = {
        var tally = ForwardTally()
        (tally.opened, tally.cut, tally.sent, tally.received) = (3, 1, 7680, 1_288_490_189)
        tally.opening.add(.milliseconds(3))
        var refused = ForwardTally()
        refused.refused = 2
        let places = [
            PlaceReport(
                state: .up, age: .seconds(65), summary: "curve25519-sha256", connects: 2, losses: 1, attempts: 0,
                failure: .init(text: "reset by peer", age: .seconds(66)),
                lost: [.init(text: "reset by peer", age: .seconds(66))]),
            PlaceReport(
                state: .waiting(.seconds(12)), age: nil, summary: "", connects: 0, losses: 0, attempts: 2,
                failure: .init(text: "no route", age: .seconds(3)), lost: []),
        ]
        let links = [
            LinkReport(
                name: "link 0", place: 0, isReplaced: false, isSuspect: false, age: .seconds(65), silence: .seconds(1),
                roundTrip: .milliseconds(2), flows: 1, sent: 10, received: 20, keyRenewals: 4),
            LinkReport(
                name: "jump host j", place: nil, isReplaced: false, isSuspect: false, age: .seconds(66),
                silence: .zero, roundTrip: nil, flows: 1, sent: 1, received: 2, keyRenewals: nil),
        ]
        let flow = FlowReport(
            forward: nil, peer: "127.0.0.1:5", target: nil, age: .seconds(1), sent: 7680, received: 8, held: 9,
            state: .localReader)
        return TunnelReport(
            destination: "me@there", engine: .native, driver: .epoll, workers: 2, state: .partly, since: .seconds(65),
            places: places, links: links,
            forwards: [
                ForwardReport(
                    kind: .local, text: "-L 1:db:5432", state: .standing(port: 1), tally: tally, flows: [flow]),
                ForwardReport(
                    kind: .remote, text: "-R 80:b:80", state: .failed(reason: "the server refuses to listen"),
                    tally: refused, flows: []),
            ], hops: [], greetings: 1, deliveries: 2, held: 3,
            carried: LinkTotals(sent: 11, received: 22, keyRenewals: 4),
            buffers: 4096, bufferLimit: 1 << 28)
    }()
}
