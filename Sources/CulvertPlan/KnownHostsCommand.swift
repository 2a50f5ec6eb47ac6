/// A program that is asked for lines of known_hosts, beside the files (KnownHostsCommand). It is run as it is, by no shell.
public struct KnownHostsCommand: Hashable, Sendable {
    /// Of a word, what is known beforehand, and what each call puts in its place.
    public enum Piece: Hashable, Sendable {
        case text(String)
        /// `%H`: the name that is looked up.
        case name
        /// `%I`: what it is called for.
        case invocation
        /// `%t`: the type of the server's key.
        case keyType
        /// `%f`: its fingerprint.
        case fingerprint
        /// `%K`: the key itself.
        case key
    }

    /// The program's path, then its arguments.
    public var words: [[Piece]]
    /// The program gets all of it.
    public var environment: [String: String]

    public init(words: [[Piece]], environment: [String: String]) {
        self.words = words
        self.environment = environment
    }
}
