import CulvertSSH

@testable import CulvertRelay

extension FuzzTarget {
    /// What a tunnel's processes tell each other. The first byte says which of the four it is.
    static let child = FuzzTarget(
        "Child",
        seeds: {
            let id = LinkID(place: 1, serial: 2)
            let arrival = [UInt8](repeating: 0, count: 15) + [3]
            var report = WorkerReport(listeners: [ListenerReport(forward: DirectID(index: 1), isPaused: true)])
            report.tallies[.direct(DirectID(index: 0))].opening.add(.seconds(1))
            let news: [ChildNews] = [
                .isOpen(place: 1, true), .load(place: 0, flows: 3), .pathEnded(id), .linkSuspect(id),
                .linkLost(id, reason: "gone", life: LinkLife()), .reported(WorkerID(1), report),
                .reverseAnswered(id, forward: ReverseID(index: 0), .standing(port: 80)),
                .said(Journal.Line(.error, "a line", kind: "a kind")), .answered(.worker(WorkerID(1))),
            ]
            let questions: [LoginQuestion] = [
                .open(hop: 1), .verify(hostKey: [1, 2]), .nextCredential(methods: ["publickey"], partialSuccess: true),
                .refused(reason: "why"), .show(banner: PeerText("hello")), .failed(SSHError(.local, "no")),
                .answer(
                    Challenge(
                        name: PeerText(""), instruction: PeerLines("a\nb"),
                        prompts: [Challenge.Prompt(text: PeerLines("?"), echo: true)])),
            ]
            let answers: [LoginAnswer] = [
                .done, .texts(["a", "b"]), .signer(name: "key", publicKey: [1]), .ending(.exited(1)),
            ]
            let orders: [ChildOrder] = [.deliver(id, reverse: [ReverseID(index: 2)]), .probe, .ping]
            return [[1, 4] + arrival] + news.map { [1] + $0.message } + questions.map { [2] + $0.message }
                + answers.map { [3] + $0.message } + orders.map { [0] + $0.message }
        }
    ) { bytes in
        var input = FuzzInput(bytes)
        let kind = input.byte()
        let message = input.rest()
        switch kind % 4 {
        case 0: comesBack(ChildOrder.self, message)
        case 1: comesBack(ChildNews.self, message)
        case 2: comesBack(LoginQuestion.self, message)
        default: comesBack(LoginAnswer.self, message)
        }
    }

    /// Whatever is read is a value: written and read again it is the same.
    private static func comesBack<Value: Portable>(_ type: Value.Type, _ message: [UInt8]) {
        guard let value = try? Value(message: message) else { return }
        let written = value.message
        promise((try? Value(message: written))?.message == written, "what was read can be read again")
    }
}
