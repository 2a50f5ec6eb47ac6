internal import FoundationEssentials

/// A JSON object to be written, its members in the order of their names.
struct JSONObject: Encodable {
    private enum Value: Encodable {
        case text(String)
        case number(Double)
        case whole(UInt64)
        case flag(Bool)
        case object(JSONObject)
        case objects([JSONObject])
        case texts([String])

        func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            switch self {
            case .text(let text): try container.encode(text)
            case .number(let number): try container.encode(number)
            case .whole(let number): try container.encode(number)
            case .flag(let flag): try container.encode(flag)
            case .object(let object): try container.encode(object)
            case .objects(let objects): try container.encode(objects)
            case .texts(let texts): try container.encode(texts)
            }
        }
    }

    private var members: [String: Value] = [:]

    mutating func add(_ name: String, _ value: String) { members[name] = .text(value) }
    mutating func add(_ name: String, flag: Bool) { members[name] = .flag(flag) }
    mutating func add(_ name: String, object: JSONObject) { members[name] = .object(object) }
    mutating func add(_ name: String, objects: [JSONObject]) { members[name] = .objects(objects) }
    mutating func add(_ name: String, strings: [String]) { members[name] = .texts(strings) }
    /// Of more digits than a Double has.
    mutating func add(_ name: String, whole: UInt64) { members[name] = .whole(whole) }
    /// Whole numbers without a point.
    mutating func add(_ name: String, _ value: Double) {
        precondition(value.isFinite, "JSON has finite numbers only")
        members[name] = .number(value)
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(members)
    }

    /// In one line.
    var text: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let bytes = try? encoder.encode(self) else {
            preconditionFailure("finite numbers and texts can be encoded")
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
