internal import CulvertIO

/// Looks names up on threads of its own, so that no worker ever waits for DNS, and no name for another that nobody
/// answers: `LookupQueue` says how many at once, and for how long, and `NameMemory` what is known already.
final class Resolver: Sendable {
    typealias Look = @Sendable (_ host: String, _ port: UInt16) throws(ResolveError) -> [SocketAddress]

    private struct Question: Sendable {
        let name: LookupName
        let asker: String?
        let answer: @Sendable ([SocketAddress], String) -> Void
    }

    private enum Message: Sendable {
        case ask(Question)
        case found(LookupName, Result<[SocketAddress], ResolveError>)
        case end
    }

    private let mailbox: Mailbox<Message>

    init(
        _ limits: LookupQueue.Limits = LookupQueue.Limits(), memory: NameMemory.Limits = NameMemory.Limits(),
        look: @escaping Look = { host, port throws(ResolveError) in try SocketAddress.resolve(host: host, port: port) }
    ) throws(IOError) {
        let mailbox = try Mailbox<Message>()
        self.mailbox = mailbox
        try Thread.start(name: "culvert-names") {
            var desk = Desk(mailbox: mailbox, look: look, queue: LookupQueue(limits), memory: NameMemory(memory))
            desk.run()
        }
    }

    /// What is under way is not waited for.
    deinit { mailbox.post(.end) }

    /// `answer` is called once, on the resolver's thread, with addresses or with the reason why there are none.
    /// - Parameter asker: a stranger whose names these are: he may have a quarter of the queue. nil: a name of the plan.
    func look(
        up host: String, port: UInt16, asker: String? = nil,
        answer: @escaping @Sendable ([SocketAddress], String) -> Void
    ) {
        mailbox.post(.ask(Question(name: LookupName(host: host, port: port), asker: asker, answer: answer)))
    }

    /// What the resolver's own thread has: it takes questions and gives answers, and never looks anything up.
    private struct Desk {
        let mailbox: Mailbox<Message>
        let look: Look
        var queue: LookupQueue
        var memory: NameMemory
        /// Those that are not answered yet.
        var questions: [LookupQueue.Number: Question] = [:]

        mutating func run() {
            while true {
                _ = Wait.forReadable([mailbox.descriptor], until: queue.nextDeadline)
                for message in mailbox.takeAll() {
                    switch message {
                    case .ask(let question): ask(question)
                    case .found(let name, let result): found(name, result)
                    case .end: return
                    }
                }
                for number in queue.expire(now: Tick.current()) { giveUp(number) }
            }
        }

        private mutating func ask(_ question: Question) {
            let now = Tick.current()
            var hasStale = false
            switch memory.known(question.name, now: now) {
            case .answer(let addresses): return question.answer(addresses, "")
            case .failure(let reason): return question.answer([], reason)
            case .stale: hasStale = true
            case .nothing: break
            }
            switch queue.ask(question.name, by: question.asker, hasStale: hasStale, now: now) {
            case .begin(let number):
                questions[number] = question
                begin(question.name)
            case .wait(let number): questions[number] = question
            case .refuse: answerOtherwise(question, "too many names are being looked up")
            }
        }

        private mutating func begin(_ name: LookupName) {
            let mailbox = mailbox
            let look = look
            do throws(IOError) {
                try Thread.start(name: "culvert-name") {
                    do throws(ResolveError) {
                        mailbox.post(.found(name, .success(try look(name.host, name.port))))
                    } catch {
                        mailbox.post(.found(name, .failure(error)))
                    }
                }
            } catch {
                let failure = ResolveError(host: name.host, reason: error.description, isTemporary: true)
                mailbox.post(.found(name, .failure(failure)))
            }
        }

        private mutating func found(_ name: LookupName, _ result: Result<[SocketAddress], ResolveError>) {
            memory.learn(name, result, now: Tick.current())
            let (answered, next) = queue.finish(name)
            for number in answered {
                guard let question = questions.removeValue(forKey: number) else { continue }
                switch result {
                case .success(let addresses): question.answer(addresses, "")
                case .failure(let error): answer(question, failing: error.description)
                }
            }
            if let next { begin(next) }
        }

        private mutating func giveUp(_ number: LookupQueue.Number) {
            guard let question = questions.removeValue(forKey: number) else { return }
            answerOtherwise(question, "nobody answers")
        }

        private func answerOtherwise(_ question: Question, _ words: String) {
            answer(question, failing: ResolveError(host: question.name.host, reason: words).description)
        }

        /// With what was found before, where that may be used.
        private func answer(_ question: Question, failing reason: String) {
            switch memory.known(question.name, now: Tick.current()) {
            case .answer(let addresses), .stale(let addresses): question.answer(addresses, "")
            case .failure, .nothing: question.answer([], reason)
            }
        }
    }
}
