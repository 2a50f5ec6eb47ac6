internal import CulvertIO

/// Whoever hands a connection over learns once whether its channel was opened, wherever the connection goes meanwhile: what
/// is forgotten was not.
final class OpeningWatch: Sendable {
    private let answer: Guarded<(@Sendable (Bool) -> Void)?>

    /// `answer` is called on whichever thread knows first, and must not wait.
    init(_ answer: @escaping @Sendable (_ isOpen: Bool) -> Void) { self.answer = Guarded(answer) }

    deinit { settle(false) }

    func settle(_ isOpen: Bool) {
        let answer = answer.withLock { answer in
            defer { answer = nil }
            return answer
        }
        answer?(isOpen)
    }
}
