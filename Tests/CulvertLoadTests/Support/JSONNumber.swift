import Foundation

extension [String: Any] {
    /// The number at the end of a path of keys; not a number where there is none.
    func number(_ keys: String...) -> Double {
        var value: Any? = self
        for key in keys { value = (value as? [String: Any])?[key] }
        return (value as? NSNumber)?.doubleValue ?? .nan
    }
}
