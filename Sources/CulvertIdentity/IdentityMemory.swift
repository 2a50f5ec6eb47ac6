internal import CulvertPlan
internal import CulvertSSH
internal import Synchronization

/// What outlives one login: the way that led in, what was typed for it, and the host keys that were accepted. Shared
/// by all links of a process, so that second links and reconnects log in without questions. Nothing of it is written
/// to a disk.
public final class IdentityMemory: Sendable {
    /// What one step of a login was made with.
    enum Step: Hashable, Sendable {
        case agentKey(PublicKey)
        case file(String)
        /// By its path: it is renewed under it.
        case certificate(String)
        case password
        case keyboardInteractive

        var method: LoginOptions.Method {
            switch self {
            case .agentKey, .file, .certificate: .publicKey
            case .password: .password
            case .keyboardInteractive: .keyboardInteractive
            }
        }
    }

    private struct Login {
        var route: [Step] = []
        var password: Secret?
        /// By the text of the question.
        var answers: [String: Secret] = [:]
    }

    private struct State {
        var logins: [String: Login] = [:]
        var passphrases: [String: Secret] = [:]
        var hostKeys: [String: TrustedKeys] = [:]
        var told: Set<String> = []
    }

    /// The keys of a host, as far as this process knows them by itself.
    struct TrustedKeys: Equatable {
        var keys: [PublicKey]
        /// Where the server has proved that they are its own, to somebody who trusted the one it showed: what the user's files
        /// had of the host then.
        var filed: Set<PublicKey>?

        static let none = TrustedKeys(keys: [])

        /// They count whatever the files say of others.
        var areProved: Bool { filed != nil }

        /// Proved keys are for files that could not be written: what a user has changed in them since counts more.
        func judged(by files: Set<PublicKey>) -> TrustedKeys { filed == files ? self : TrustedKeys(keys: keys) }
    }

    enum Acceptance: Equatable {
        case new, same
        case other(PublicKey)
    }

    private let state = Mutex(State())

    public init() {}

    /// The steps that led in last (or were under way when the connection broke), one for each partial success.
    func route(to destination: String) -> [Step] {
        state.withLock { $0.logins[destination]?.route ?? [] }
    }

    func set(route: [Step], to destination: String) {
        state.withLock { $0.logins[destination, default: Login()].route = route }
    }

    func password(for destination: String) -> Secret? {
        state.withLock { $0.logins[destination]?.password }
    }

    func set(password: Secret?, for destination: String) {
        state.withLock { $0.logins[destination, default: Login()].password = password }
    }

    func answers(for destination: String) -> [String: Secret] {
        state.withLock { $0.logins[destination]?.answers ?? [:] }
    }

    func set(answers: [String: Secret], for destination: String) {
        state.withLock { $0.logins[destination, default: Login()].answers = answers }
    }

    func passphrase(of path: String) -> Secret? {
        state.withLock { $0.passphrases[path] }
    }

    func set(passphrase: Secret?, of path: String) {
        state.withLock { $0.passphrases[path] = passphrase }
    }

    /// False for a line that was shown before: every reconnect would say it again.
    func isNews(_ line: String) -> Bool {
        state.withLock { $0.told.insert(line).inserted }
    }

    func hostKeys(of name: String) -> TrustedKeys {
        state.withLock { $0.hostKeys[name] ?? .none }
    }

    /// A key that a known_hosts file names counts more than what was accepted before.
    func set(hostKey: PublicKey, of name: String) {
        state.withLock { state in
            if state.hostKeys[name]?.keys.contains(hostKey) == true { return }
            state.hostKeys[name] = TrustedKeys(keys: [hostKey])
        }
    }

    /// These are the server's, and no others, by its own proof. `filed`: what the user's files have of the host.
    func learn(_ keys: [PublicKey], of name: String, filed: Set<PublicKey>) {
        state.withLock { $0.hostKeys[name] = TrustedKeys(keys: keys, filed: filed) }
    }

    /// Two logins may meet an unknown host at once: the first key stands.
    func accept(_ key: PublicKey, of name: String) -> Acceptance {
        state.withLock { state in
            if let present = state.hostKeys[name]?.keys, let first = present.first {
                return present.contains(key) ? .same : .other(first)
            }
            state.hostKeys[name] = TrustedKeys(keys: [key])
            return .new
        }
    }
}
