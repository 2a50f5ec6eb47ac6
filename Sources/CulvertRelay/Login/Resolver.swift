internal import CulvertIO

/// Looks names up on threads of its own, so that no worker ever waits for DNS, and no name for another that nobody
/// answers: `LookupQueue` says how many at once, and for how long.
final class Resolver: Sendable {
    typealias Look = @Sendable (_ host: String, _ port: UInt16) throws(ResolveError) -> [SocketAddress]

    private struct Question: Sendable {
        let host: String
        let port: UInt16
        let answer: @Sendable ([SocketAddress], String) -> Void
    }

    private enum Message: Sendable {
        case ask(Question)
        case found(LookupQueue.Number, Result<[SocketAddress], ResolveError>)
        case end
    }

    private let mailbox: Mailbox<Message>

    init(
        _ limits: LookupQueue.Limits = LookupQueue.Limits(),
        look: @escaping Look = { host, port throws(ResolveError) in try SocketAddress.resolve(host: host, port: port) }
    ) throws(IOError) {
        let mailbox = try Mailbox<Message>()
        self.mailbox = mailbox
        try Thread.start(name: "culvert-names") {
            var desk = Desk(mailbox: mailbox, look: look, queue: LookupQueue(limits))
            desk.run()
        }
    }

    /// What is under way is not waited for.
    deinit { mailbox.post(.end) }

    /// `answer` is called once, on the resolver's thread, with addresses or with the reason why there are none.
    func look(up host: String, port: UInt16, answer: @escaping @Sendable ([SocketAddress], String) -> Void) {
        mailbox.post(.ask(Question(host: host, port: port, answer: answer)))
    }

    /// What the resolver's own thread has: it takes questions and gives answers, and never looks anything up.
    private struct Desk {
        let mailbox: Mailbox<Message>
        let look: Look
        var queue: LookupQueue
        /// Those that are not answered yet.
        var questions: [LookupQueue.Number: Question] = [:]

        mutating func run() {
            while true {
                _ = Wait.forReadable([mailbox.descriptor], until: queue.nextDeadline)
                for message in mailbox.takeAll() {
                    switch message {
                    case .ask(let question): ask(question)
                    case .found(let number, let result): found(number, result)
                    case .end: return
                    }
                }
                for number in queue.expire(now: Tick.current()) { giveUp(number) }
            }
        }

        private mutating func ask(_ question: Question) {
            switch queue.ask(now: Tick.current()) {
            case .begin(let number):
                questions[number] = question
                begin(number)
            case .wait(let number): questions[number] = question
            case .refuse: question.answer([], reason(question, "too many names are being looked up"))
            }
        }

        private mutating func begin(_ number: LookupQueue.Number) {
            guard let question = questions[number] else { preconditionFailure("what is begun was asked") }
            let mailbox = mailbox
            let look = look
            do throws(IOError) {
                try Thread.start(name: "culvert-name") {
                    do throws(ResolveError) {
                        mailbox.post(.found(number, .success(try look(question.host, question.port))))
                    } catch {
                        mailbox.post(.found(number, .failure(error)))
                    }
                }
            } catch {
                mailbox.post(
                    .found(number, .failure(ResolveError(host: question.host, reason: error.description))))
            }
        }

        private mutating func found(_ number: LookupQueue.Number, _ result: Result<[SocketAddress], ResolveError>) {
            let (isAwaited, next) = queue.finish(number)
            if isAwaited, let question = questions.removeValue(forKey: number) {
                switch result {
                case .success(let addresses): question.answer(addresses, "")
                case .failure(let error): question.answer([], error.description)
                }
            }
            if let next { begin(next) }
        }

        private mutating func giveUp(_ number: LookupQueue.Number) {
            guard let question = questions.removeValue(forKey: number) else { return }
            question.answer([], reason(question, "nobody answers"))
        }

        private func reason(_ question: Question, _ words: String) -> String {
            ResolveError(host: question.host, reason: words).description
        }
    }
}
