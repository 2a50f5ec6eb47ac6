internal import CulvertSSH

/// The lines of the known_hosts files that matter, and what they say of a key. No I/O here.
struct KnownHosts: Sendable {
    /// Unreadable lines that are remembered; a file that has more has another fault.
    static let mostMalformed = 100

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
        /// It was to revoke a key, or to trust an authority.
        let hasMarker: Bool
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

    /// Lines that do not matter to it are not kept.
    let interest: LineInterest

    init(_ interest: LineInterest = .all) { self.interest = interest }

    mutating func add(line: ArraySlice<UInt8>, place: Place) {
        var words = line.words()
        guard let first = words.first, first.first != UInt8(ascii: "#") else { return }
        var marker = Marker.none
        if first.first == UInt8(ascii: "@") {
            switch String(decoding: first, as: UTF8.self) {
            case "@revoked": marker = .revoked
            case "@cert-authority": marker = .certAuthority
            default:
                return complain(place, nil, hasMarker: true, "unknown marker \(PeerText(first))")
            }
            words.removeFirst()
        }
        guard let field = words.first, let hosts = HostList(field) else {
            return complain(
                place, nil, hasMarker: marker != .none, "no host name, or one hashed in an unknown way")
        }
        if let names = interest.names, !names.contains(where: { hosts.matches(String(decoding: $0, as: UTF8.self)) }) {
            return
        }
        guard let key = PublicKey(words: Array(words.dropFirst())) else {
            let why = "not a key type followed by a key of that type"
            return complain(place, hosts, hasMarker: marker != .none, why)
        }
        entries.append(Entry(place: place, marker: marker, hosts: hosts, key: key))
    }

    private mutating func complain(_ place: Place, _ hosts: HostList?, hasMarker: Bool, _ why: String) {
        guard malformed.count < Self.mostMalformed else { return }
        malformed.append(Malformed(place: place, hosts: hosts, hasMarker: hasMarker, why: why))
    }

    /// A revocation counts wherever the key comes from, so long as its line is about this host. Any other key that is
    /// known for the host makes this one a changed key, of whatever type: else a forger would only need another type.
    func judge(_ key: PublicKey, name: String) -> Verdict {
        var known: Place?
        var other: Entry?
        for entry in entries where entry.hosts.matches(name) {
            switch entry.marker {
            case .revoked: if entry.key.plain == key { return .revoked(entry.place) }
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

    /// What is said of a certificate's authority, and of its key where that is revoked.
    enum AuthorityVerdict: Hashable, Sendable {
        case known(Place)
        case unknown
        case revoked(Place)
        case authorityRevoked(Place)
    }

    /// A revocation counts before all else, as with keys. What the certificate says is not looked at.
    func judge(_ certificate: Certificate, name: String) -> AuthorityVerdict {
        var known: Place?
        for entry in entries where entry.hosts.matches(name) {
            switch entry.marker {
            case .none: break
            case .revoked:
                let revoked = entry.key.plain.blob
                if revoked == certificate.plainKey { return .revoked(entry.place) }
                if revoked == certificate.authority { return .authorityRevoked(entry.place) }
            case .certAuthority:
                if known == nil, entry.key.blob == certificate.authority { known = entry.place }
            }
        }
        return known.map(AuthorityVerdict.known) ?? .unknown
    }

    /// Where an authority of this host's stands, which is not revoked for it.
    func authority(for name: String) -> Place? {
        let matching = entries.filter { $0.hosts.matches(name) }
        let revoked = Set(matching.filter { $0.marker == .revoked }.map(\.key))
        return matching.first { $0.marker == .certAuthority && !revoked.contains($0.key) }?.place
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

    /// Lines with a marker that could not be read, and that may be about this host: worth telling always, since what they
    /// were to forbid is not forbidden.
    func malformedMarkers(about name: String) -> [Malformed] {
        malformed.filter { $0.hasMarker && $0.hosts?.matches(name) ?? true }
    }
}
