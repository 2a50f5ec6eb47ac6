internal import CulvertIO

/// Looks names up on a thread of its own, so that no worker ever waits for DNS.
final class Resolver: Sendable {
    private struct Question: Sendable {
        let host: String
        let port: UInt16
        let answer: @Sendable ([SocketAddress], String) -> Void
    }

    private let questions: Mailbox<Question>

    init() throws(IOError) {
        let questions = try Mailbox<Question>()
        self.questions = questions
        try Thread.start(name: "culvert-names") {
            while true {
                _ = Wait.forReadable([questions.descriptor], until: nil)
                for question in questions.takeAll() {
                    do throws(ResolveError) {
                        question.answer(try SocketAddress.resolve(host: question.host, port: question.port), "")
                    } catch {
                        question.answer([], error.description)
                    }
                }
            }
        }
    }

    /// `answer` is called on the resolver's thread, with addresses or with the reason why there are none.
    func look(up host: String, port: UInt16, answer: @escaping @Sendable ([SocketAddress], String) -> Void) {
        questions.post(Question(host: host, port: port, answer: answer))
    }
}
