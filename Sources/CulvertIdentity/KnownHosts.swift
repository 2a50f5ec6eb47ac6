internal import CulvertSSH

/// The lines of the known_hosts files, and what they say of a key. No I/O here.
struct KnownHosts: Sendable {
    enum Marker: Hashable, Sendable {
        case none, revoked, certAuthority
    }

    /// Where a line stands; lines count from 1, as editors do.
    struct Place: Hashable, Sendable, CustomStringConvertible {
        let file: String
        let line: Int
        var description: String { "\(PeerText(file)):\(line)" }
    }

    struct Entry: Hashable, Sendable {
        let place: Place
        let marker: Marker
        let hosts: HostList
        let key: PublicKey
    }

    /// A line that says nothing because of a mistake in it. `hosts` nil: the mistake is in the host field itself.
    struct Malformed: Hashable, Sendable {
        let place: Place
        let hosts: HostList?
        let why: String
    }

    enum Verdict: Hashable, Sendable {
        case known(Place)
        case unknown
        /// Other keys are known for this host, and this one is none of them.
        case changed(Entry)
        case revoked(Place)
    }

    private(set) var entries: [Entry] = []
    private(set) var malformed: [Malformed] = []

    /// Adds the lines of one file.
    mutating func add(_ contents: [UInt8], file: String) {
        let lines = contents.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        for (index, line) in lines.enumerated() {
            // A carriage return before the line's end belongs to the end: else a revocation in such a file is lost.
            let line = line.last == UInt8(ascii: "\r") ? line.dropLast() : line
            add(line: line, place: Place(file: file, line: index + 1))
        }
    }

    private mutating func add(line: ArraySlice<UInt8>, place: Place) {
        var words = line.words()
        guard let first = words.first, first.first != UInt8(ascii: "#") else { return }
        var marker = Marker.none
        if first.first == UInt8(ascii: "@") {
            switch String(decoding: first, as: UTF8.self) {
            case "@revoked": marker = .revoked
            case "@cert-authority": marker = .certAuthority
            default:
                malformed.append(Malformed(place: place, hosts: nil, why: "unknown marker \(PeerText(first))"))
                return
            }
            words.removeFirst()
        }
        guard let field = words.first, let hosts = HostList(field) else {
            malformed.append(Malformed(place: place, hosts: nil, why: "no host name, or one hashed in an unknown way"))
            return
        }
        guard let key = PublicKey(words: Array(words.dropFirst())) else {
            let why = "not a key type followed by a key of that type"
            malformed.append(Malformed(place: place, hosts: hosts, why: why))
            return
        }
        entries.append(Entry(place: place, marker: marker, hosts: hosts, key: key))
    }

    /// A revocation counts wherever the key comes from, so long as its line is about this host. Any other key that is
    /// known for the host makes this one a changed key, of whatever type: else a forger would only need another type.
    func judge(_ key: PublicKey, name: String) -> Verdict {
        var known: Place?
        var other: Entry?
        for entry in entries where entry.hosts.matches(name) {
            switch entry.marker {
            case .revoked: if entry.key == key { return .revoked(entry.place) }
            case .certAuthority: break
            case .none:
                if entry.key == key {
                    known = known ?? entry.place
                } else if other == nil || (other?.key.type != key.type && entry.key.type == key.type) {
                    other = entry
                }
            }
        }
        if let known { return .known(known) }
        if let other { return .changed(other) }
        return .unknown
    }

    /// Keys that would be accepted for this host, in the order of the files.
    func keys(for name: String) -> [PublicKey] {
        let matching = entries.filter { $0.hosts.matches(name) }
        let revoked = Set(matching.filter { $0.marker == .revoked }.map(\.key))
        return matching.filter { $0.marker == .none && !revoked.contains($0.key) }.map(\.key)
    }

    /// Lines that hold the same key under other names: a host known by another name or address.
    func otherPlaces(of key: PublicKey, name: String) -> [Entry] {
        entries.filter { $0.marker == .none && $0.key == key && !$0.hosts.matches(name) }
    }

    /// Lines about this host that could not be read: worth telling when its key is unknown.
    func malformed(about name: String) -> [Malformed] {
        malformed.filter { $0.hosts?.matches(name) ?? false }
    }
}
